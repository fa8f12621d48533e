// SPDX-License-Identifier: MIT
//
// All memory of a state comes from `allocate`, which counts it. While a script runs, the count is
// limited to `lua_bytes` and the bodies of the requests that are being answered; Lua then collects
// garbage before an allocation fails. Outside of a run there is no limit, because the engine's own
// calls of Lua are not protected.
//
// Every coroutine finds its generation by a pointer in its extra space, which Lua copies from the
// main coroutine when it makes a new one.
#include "script/state.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/environment.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slab.h"
#include "script/parts.h"
#include "script/stack.h"

#include <assert.h>
#include <lauxlib.h>

enum { WARNING_BYTES_MAX = 4096 };

struct state {
    lua_State *L;
    struct coroutine_mark mark;
    struct coroutine_mark task_mark;
    const struct limits *limits;
    size_t bytes;       // in use
    size_t body_bytes;  // the part of `bytes` that is bodies of requests that are being answered
    bool is_capped;     // the limit holds, because a script runs
    bool is_struck;     // no memory at all is given to it, for a spec
    bool was_refused;   // the limit refused memory since this was last forgotten
    bool has_ended;     // only finalizers run now
    int encoder_ref;    // LUA_NOREF without
    struct buf warning; // a warning of Lua's, whose pieces are gathered here
};

static void *allocate(void *arg, void *memory, size_t old_size, size_t size);
static void on_warning(void *arg, const char *piece, int has_more);

struct state *state_new(struct parts *parts)
{
    struct state *state = mem_new(struct state);
    static_assert(LUA_EXTRASPACE >= sizeof(struct coroutine_mark *), "a mark is found there");
    DCHECK(parts->options != NULL && parts->L == NULL);
    state->limits = parts->options->limits;
    state->encoder_ref = LUA_NOREF;
    buf_init(&state->warning, WARNING_BYTES_MAX);
    state->L = lua_newstate(allocate, state);
    CHECK(state->L != NULL);
    state->mark = (struct coroutine_mark){.parts = parts};
    state->task_mark = (struct coroutine_mark){.parts = parts, .is_task = true};
    *(struct coroutine_mark **)lua_getextraspace(state->L) = &state->mark;
    lua_setwarnf(state->L, on_warning, state);
    parts->L = state->L;
    return state;
}

void state_free(struct state *state)
{
    DCHECK(!state->has_ended && !state->is_capped);
    state->has_ended = true;
    lua_close(state->L);
    CHECK(state->bytes == 0);
    buf_reset(&state->warning);
    mem_free(state);
}

bool state_has_ended(const struct state *state)
{
    return state->has_ended;
}

void check_not_ended(lua_State *L)
{
    if (parts_of(L)->state->has_ended) {
        luaL_error(L, "the server has ended");
    }
}

bool state_cap(struct state *state, bool is_capped)
{
    bool was_capped = state->is_capped;
    state->is_capped = is_capped;
    state->is_struck = is_capped && environment_here->refuses_memory;
    return was_capped;
}

bool state_was_refused(const struct state *state)
{
    return state->was_refused;
}

void state_clear_refusal(struct state *state)
{
    state->was_refused = false;
}

size_t state_bytes(const struct state *state)
{
    return state->bytes;
}

void state_add_body(struct state *state, size_t bytes)
{
    state->body_bytes += bytes;
}

void state_drop_body(struct state *state, size_t bytes)
{
    DCHECK(state->body_bytes >= bytes);
    state->body_bytes -= bytes;
}

void state_mark_task(struct state *state, lua_State *coroutine)
{
    DCHECK(coroutine != state->L && parts_of(coroutine) == state->mark.parts);
    *(struct coroutine_mark **)lua_getextraspace(coroutine) = &state->task_mark;
}

bool state_is_of_task(lua_State *coroutine)
{
    return (*(struct coroutine_mark **)lua_getextraspace(coroutine))->is_task;
}

void state_keep_encoder(lua_State *L)
{
    struct state *state = parts_of(L)->state;
    DCHECK(lua_isfunction(L, -1) && state->encoder_ref == LUA_NOREF);
    state->encoder_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void state_push_encoder(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, parts_of(L)->state->encoder_ref);
}

void state_push_weak_table(lua_State *L)
{
    STACK_BEGIN(L);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    DCHECK_STACK(L, 1);
}

/// Lua says how large a block is when it gives the block back, so that small blocks need no header.
static void *allocate(void *arg, void *memory, size_t old_size, size_t size)
{
    struct state *state = arg;
    size_t freed = memory == NULL ? 0 : old_size;
    DCHECK(state->bytes >= freed);
    if (size == 0) {
        state->bytes -= freed;
        slab_free_text(memory, freed);
        return NULL;
    }
    bool may_fail = state->is_capped && size > freed;
    size_t bytes_max = state->limits->script.lua_bytes + state->body_bytes;
    bool is_over = state->is_struck || state->bytes - freed + size > bytes_max;
    void *resized = may_fail && is_over ? NULL
                    : may_fail          ? slab_try_resize(memory, freed, size)
                                        : slab_resize(memory, freed, size);
    if (resized == NULL) {
        state->was_refused = true;
        limit_met("lua_bytes", state->limits->script.lua_bytes);
        return NULL;
    }
    state->bytes += size - freed;
    return resized;
}

/// Logs Lua's warnings: those of a finalizer that failed, and the script's own `warn`. A warning of
/// more than WARNING_BYTES_MAX is cut. A single piece that begins with "@", such as "@on", is no
/// warning: it would switch Lua's own writer of warnings, which is not used here.
static void on_warning(void *arg, const char *piece, int has_more)
{
    struct buf *warning = &((struct state *)arg)->warning;
    if (buf_is_empty(warning) && !has_more && *piece == '@') {
        return;
    }
    IGNORE(buf_append(warning, bytes_from_string(piece))); // a piece that has no room is left out
    if (!has_more) {
        LOG(LOG_WARN, "a warning of Lua's", log_bytes("warning", buf_bytes(warning)));
        buf_reset(warning);
    }
}
