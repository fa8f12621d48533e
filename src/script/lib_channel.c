// SPDX-License-Identifier: MIT
//
// What a call may change depends on when it comes. `lunesse.channel` checks all options first. It
// then finds the channel, or makes it, and applies the options, unless the channel was there before
// and the scripts are still loading: the options are then copied into a list, and
// `lib_channel_apply_postponed` applies them once the load has succeeded.
//
// `publish` hands the event to the replica. A task that has published more than the readers were
// offered parks among the publishers, and a job at the end of the turn wakes those whose channel
// has room again.
#include "script/lib_channel.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "hub/group.h"
#include "hub/local_hub.h"
#include "hub/replica.h"
#include "net/loop.h"
#include "script/application.h"
#include "script/collector.h"
#include "script/event.h"
#include "script/event_field.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"

#include <errno.h>

// The memory of a box is one pointer, to the replica of the channel.

// The registry keeps the weak table replica -> box under the address of this.
static const char boxes_key;

/// What publishing needs in a generation.
struct publishers {
    struct list tasks; // tasks that wait for room in their channels
    struct loop_job job;
    struct room_waiter waiter;
    int options_ref; // list of postponed options; LUA_NOREF for none
};

static void wake_publishers(struct loop_job *job);
static bool is_loading(lua_State *L);
static struct local_hub *local_hub_of(lua_State *L);
static struct bytes check_name(lua_State *L);
static void check_channel_options(lua_State *L, struct journal_bounds *bounds);
static struct group *check_group(lua_State *L);
static uint64_t group_bound(lua_State *L, const uint64_t *bound);
static int push_full(lua_State *L);
static int push_full_group(lua_State *L, const struct group *group);
static uint64_t check_count(lua_State *L, const char *name);
static void check_lag(lua_State *L);
static void apply_options_or_raise(lua_State *L, struct replica *replica);
static int l_channel_group(lua_State *L);
static void check_group_options(lua_State *L, struct group *limits);
static void apply_group_options_or_raise(lua_State *L, struct bytes name);
static void postpone_options(lua_State *L, const char *const *names);
static int l_apply_postponed(lua_State *L);
static bool push_box(lua_State *L, const struct replica *replica);
static int push_new_box(lua_State *L, struct bytes name, struct group *group,
                        struct replica **made);
static int push_refusal(lua_State *L, const struct group *group, int failure);
static int push_id(lua_State *L, struct event_id id);
static int wait_for_room(lua_State *L, struct replica *replica, struct event_id id);
static void stop_waiting(struct task *task, void *arg);
static int l_channel(lua_State *L);
static int l_publish(lua_State *L);
static int l_cursor(lua_State *L);
static int l_close(lua_State *L);
static int l_collect(lua_State *L);
static int p_name(lua_State *L);
static int p_subscribers(lua_State *L);

static const char *const option_names[] = {"history", "bytes",       "ttl",          "on_lag",
                                           "group",   "reset_event", "lagged_event", NULL};

static const char *const group_option_names[] = {"channels", "bytes", NULL};

static const luaL_Reg methods[] = {
    {"publish", l_publish}, {"cursor", l_cursor}, {"close", l_close}, {NULL, NULL}};

static const struct box_property properties[] = {
    {"name", p_name}, {"subscribers", p_subscribers}, {NULL, NULL}};

const struct box_class lib_channel_class = {"Channel", methods, properties, l_collect};

const luaL_Reg lib_channel_functions[] = {
    {"channel", l_channel}, {"channel_group", l_channel_group}, {NULL, NULL}};

struct replica *check_channel(lua_State *L, int index)
{
    struct replica **box = check_box(L, index, BOX_CHANNEL);
    luaL_argcheck(L, *box != NULL, index,
                  "a channel that is still there expected"); // not so in a finalizer at the end
    return *box;
}

void lib_channel_open(struct parts *parts)
{
    struct publishers *publishers = mem_new(struct publishers);
    list_init(&publishers->tasks);
    loop_job_init(&publishers->job, wake_publishers);
    list_init(&publishers->waiter.node);
    publishers->waiter.job = &publishers->job;
    publishers->options_ref = LUA_NOREF;
    parts->publishers = publishers;
}

void lib_channel_close(struct parts *parts)
{
    CHECK(list_is_empty(&parts->publishers->tasks));
    list_remove(&parts->publishers->waiter.node);
    loop_job_cancel(&parts->publishers->job);
    mem_free(parts->publishers);
}

void lib_channel_open_boxes(lua_State *L)
{
    state_push_weak_table(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &boxes_key);
}

/// Wakes the publishers whose channels have room. The task at the head of the list goes to its end
/// first: it was the first to park, so it has published most in this turn, and it gets its next
/// chance last. A task stays parked while another worker has yet to offer the channel's events to
/// its readers.
static void wake_publishers(struct loop_job *job)
{
    struct publishers *publishers = CONTAINER_OF(job, struct publishers, job);
    if (!list_is_empty(&publishers->tasks)) {
        struct list *first = publishers->tasks.next;
        list_remove(first);
        list_append(&publishers->tasks, first);
    }
    LIST_EACH (node, after, &publishers->tasks) {
        struct task *task = LIST_ITEM(node, struct task, wait_node);
        struct replica *replica = task->wait_replica;
        DCHECK(task->state == TASK_PARKED && replica != NULL);
        if (!replica_await_room(replica, &publishers->waiter)) {
            list_remove(&task->wait_node);
            push_id(task->waiting, journal_id(&replica->journal, task->wait_sequence));
            task_wake(task, 1);
        }
    }
}

enum call_outcome lib_channel_apply_postponed(struct parts *parts)
{
    if (parts->publishers->options_ref == LUA_NOREF) {
        return CALL_DONE;
    }
    lua_pushcfunction(parts->L, l_apply_postponed);
    return call_main(parts, 0, 0);
}

/// channel(name, [options]) -> Channel; nil, message, "E2BIG" or "ENOMEM"
static int l_channel(lua_State *L)
{
    struct bytes name = check_name(L);
    check_options(L, 2, option_names);
    check_not_ended(L);
    lua_settop(L, 2);
    struct journal_bounds bounds;
    check_channel_options(L, &bounds); // all arguments are checked before anything is made
    struct replica *replica = local_hub_find(local_hub_of(L), name);
    bool is_there = replica != NULL;
    if (replica == NULL || !push_box(L, replica)) {
        struct group *group = check_group(L);
        int failure = push_new_box(L, name, group, &replica);
        if (failure != 0) {
            return push_refusal(L, group, failure);
        }
    }
    if (is_there && is_loading(L)) {
        postpone_options(L, option_names);
    } else {
        apply_options_or_raise(L, replica);
    }
    return 1;
}

static bool is_loading(lua_State *L)
{
    return application_stage(parts_of(L)->application) == APPLICATION_LOADING;
}

static int push_refusal(lua_State *L, const struct group *group, int failure)
{
    const struct limits *limits = parts_of(L)->options->limits;
    collector_hurry(parts_of(L)->collector);
    switch (failure) {
    case -E2BIG:
        limit_met("channels", limits->channel.count);
        return box_push_failure(L, "there are as many channels as the limit allows", "E2BIG");
    case -EDQUOT:
        limit_met("group_channels", group_bound(L, &group->channel_count_max));
        return box_push_failure(L, "the group has as many channels as it may", "E2BIG");
    case -ENOSPC:
        return push_full_group(L, group);
    default:
        return push_full(L);
    }
}

static int push_full(lua_State *L)
{
    limit_met("channel_total_bytes", parts_of(L)->options->limits->channel.total_bytes);
    return box_push_failure(L, "the channels hold as many bytes as they may", "ENOMEM");
}

static int push_full_group(lua_State *L, const struct group *group)
{
    limit_met("group_bytes", group_bound(L, &group->bytes_max));
    return box_push_failure(L, "the group's channels hold as many bytes as they may", "ENOMEM");
}

static struct local_hub *local_hub_of(lua_State *L)
{
    return parts_of(L)->options->local_hub;
}

static struct bytes check_name(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TSTRING);
    struct bytes name = check_bytes(L, 1);
    uint64_t bytes_max = parts_of(L)->options->limits->channel.name_bytes;
    luaL_argcheck(L, name.len > 0, 1, "a channel's name is not empty");
    if (name.len > bytes_max) {
        limit_met("channel_name_bytes", bytes_max);
        luaL_argerror(L, 1, "the name is longer than channel_name_bytes");
    }
    luaL_argcheck(L, utf8_valid_prefix(name) == name.len, 1, "a channel's name is UTF-8");
    for (size_t i = 0; i < name.len; i++) {
        unsigned char octet = (unsigned char)name.at[i];
        luaL_argcheck(L, octet >= ' ' && octet != 0x7f, 1, "a channel's name has no controls");
    }
    return name;
}

/// Checks all options. Those that are bounds go into `bounds`.
static void check_channel_options(lua_State *L, struct journal_bounds *bounds)
{
    int top = lua_gettop(L);
    if (opt_field(L, 2, "history") != LUA_TNIL) {
        bounds->count = check_count(L, "history");
    }
    if (opt_field(L, 2, "bytes") != LUA_TNIL) {
        bounds->bytes = check_count(L, "bytes");
    }
    int type = opt_field(L, 2, "ttl");
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        bounds->ttl_ms = UINT64_MAX;
    } else if (type != LUA_TNIL) {
        bounds->ttl_ms = check_duration_option_ms(L, 2, "ttl");
    }
    check_lag(L);
    check_group(L);
    opt_field(L, 2, "reset_event");
    check_event_name(L, 2, "reset_event");
    opt_field(L, 2, "lagged_event");
    check_event_name(L, 2, "lagged_event");
    lua_settop(L, top);
}

/// Returns the group that the options of a channel name, or NULL.
static struct group *check_group(lua_State *L)
{
    int type = opt_field(L, 2, "group");
    struct group *group = NULL;
    if (type == LUA_TSTRING) {
        struct hub *hub = local_hub_of(L)->hub;
        hub_lock(hub);
        group = group_find(hub->groups, bytes_of(lua_tostring(L, -1), lua_rawlen(L, -1)));
        hub_unlock(hub);
    }
    luaL_argcheck(L, type == LUA_TNIL || group != NULL, 2,
                  "group: a name that was given to lunesse.channel_group expected");
    lua_pop(L, 1);
    return group;
}

/// A ceiling of a group, read under the lock, because another worker may change it.
static uint64_t group_bound(lua_State *L, const uint64_t *bound)
{
    struct hub *hub = local_hub_of(L)->hub;
    hub_lock(hub);
    uint64_t value = *bound;
    hub_unlock(hub);
    return value;
}

static uint64_t check_count(lua_State *L, const char *name)
{
    int is_whole = 0;
    lua_Integer count = lua_tointegerx(L, -1, &is_whole);
    if (lua_type(L, -1) != LUA_TNUMBER || !is_whole || count < 0) {
        luaL_argerror(L, 2, lua_pushfstring(L, "%s: a whole number, 0 or more, expected", name));
    }
    return (uint64_t)count;
}

static void check_lag(lua_State *L)
{
    int type = opt_field(L, 2, "on_lag");
    const char *lag = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool is_known = strcmp(lag, "resume") == 0 || strcmp(lag, "skip") == 0;
    luaL_argcheck(L, type == LUA_TNIL || is_known, 2, "on_lag: \"resume\" or \"skip\" expected");
}

/// channel_group(name, { channels =, bytes = }) -> true
static int l_channel_group(lua_State *L)
{
    struct bytes name = check_bytes(L, 1);
    struct hub *hub = local_hub_of(L)->hub;
    luaL_argcheck(L, name.len > 0, 1, "a group's name is not empty");
    luaL_checktype(L, 2, LUA_TTABLE);
    check_options(L, 2, group_option_names);
    lua_settop(L, 2);
    struct group limits = {0};
    check_group_options(L, &limits);
    hub_lock(hub);
    struct group *group = group_find(hub->groups, name);
    bool is_there = group != NULL;
    int failure = is_there ? 0 : group_make(&hub->groups, name, &group);
    hub_unlock(hub);
    if (failure != 0) {
        return luaL_error(L, "there are %d groups of channels already", (int)GROUPS_MAX);
    }
    if (is_there && is_loading(L)) {
        lua_pushvalue(L, 1);
        postpone_options(L, group_option_names);
    } else {
        apply_group_options_or_raise(L, name);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// Checks the options. Those that are there go into `limits`.
static void check_group_options(lua_State *L, struct group *limits)
{
    uint64_t *const members[] = {&limits->channel_count_max, &limits->bytes_max};
    int top = lua_gettop(L);
    for (size_t i = 0; group_option_names[i] != NULL; i++) {
        int type = opt_field(L, 2, group_option_names[i]);
        if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
            *members[i] = UINT64_MAX;
        } else if (type != LUA_TNIL) {
            *members[i] = check_count(L, group_option_names[i]);
        }
    }
    lua_settop(L, top);
}

/// Applies the options to a group, which exists. An option that the call does not name stays as it
/// was.
static void apply_group_options_or_raise(lua_State *L, struct bytes name)
{
    struct hub *hub = local_hub_of(L)->hub;
    hub_lock(hub);
    struct group *group = group_find(hub->groups, name);
    struct group limits = *group;
    hub_unlock(hub);
    check_group_options(L, &limits);
    hub_lock(hub);
    group->channel_count_max = limits.channel_count_max;
    group->bytes_max = limits.bytes_max;
    hub_unlock(hub);
}

/// Applies the options to a channel. An option that the call does not name stays as it was.
static void apply_options_or_raise(lua_State *L, struct replica *replica)
{
    if (!lua_istable(L, 2)) {
        return;
    }
    int top = lua_gettop(L);
    struct journal_bounds bounds = replica_bounds(replica);
    check_channel_options(L, &bounds);
    replica_set_bounds(replica, &bounds);
    if (lua_getfield(L, 2, "on_lag") == LUA_TSTRING) {
        bool is_skip = strcmp(lua_tostring(L, -1), "skip") == 0;
        replica_set_lag(replica, is_skip ? CHANNEL_SKIP : CHANNEL_RESUME);
    }
    if (lua_getfield(L, 2, "reset_event") == LUA_TSTRING) {
        replica_name_event(replica, CHANNEL_RESET, check_bytes(L, -1));
    }
    if (lua_getfield(L, 2, "lagged_event") == LUA_TSTRING) {
        replica_name_event(replica, CHANNEL_LAGGED, check_bytes(L, -1));
    }
    lua_settop(L, top);
}

/// Postpones the options until the load has succeeded. The stack is [name, options, box]; for a
/// group its name stands in place of the box. The options are copied, because the script may change
/// its table.
static void postpone_options(lua_State *L, const char *const *names)
{
    struct publishers *publishers = parts_of(L)->publishers;
    if (!lua_istable(L, 2)) {
        return;
    }
    DCHECK(lua_gettop(L) == 3); // [name, options, box or name]
    DCHECK(is_loading(L));
    if (publishers->options_ref == LUA_NOREF) {
        lua_newtable(L);
        publishers->options_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_newtable(L);
    for (size_t i = 0; names[i] != NULL; i++) {
        lua_getfield(L, 2, names[i]);
        lua_setfield(L, 4, names[i]);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, publishers->options_ref);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 5);
    lua_pushvalue(L, 3);
    lua_rawseti(L, 5, count + 1);
    lua_pushvalue(L, 4);
    lua_rawseti(L, 5, count + 2);
    lua_settop(L, 3);
}

static int l_apply_postponed(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, parts_of(L)->publishers->options_ref); // [list]
    DCHECK(lua_gettop(L) == 1 && lua_istable(L, 1));
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    for (lua_Integer i = 1; i < count; i += 2) {
        lua_rawgeti(L, 1, i + 1);
        lua_rawgeti(L, 1, i); // [list, options, box or name]
        DCHECK(lua_istable(L, 2) && lua_gettop(L) == 3);
        if (lua_type(L, 3) == LUA_TSTRING) {
            apply_group_options_or_raise(L, check_bytes(L, 3));
        } else {
            apply_options_or_raise(L, check_channel(L, 3));
        }
        lua_settop(L, 1);
    }
    return 0;
}

/// Pushes the box of the channel if the weak table has one.
static bool push_box(lua_State *L, const struct replica *replica)
{
    STACK_BEGIN(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
    bool is_there = lua_rawgetp(L, -1, replica) == LUA_TUSERDATA;
    lua_remove(L, -2);
    if (!is_there) {
        lua_pop(L, 1);
    }
    DCHECK_STACK(L, is_there);
    return is_there;
}

/// Born empty, so that nothing is lost when memory runs out. Returns as `local_hub_make`.
static int push_new_box(lua_State *L, struct bytes name, struct group *group, struct replica **made)
{
    struct replica **box = lua_newuserdatauv(L, sizeof(struct replica *), 0);
    *box = NULL;
    box_set_type(L, BOX_CHANNEL); // [.., box]
    struct replica *replica = local_hub_find(local_hub_of(L), name);
    if (replica == NULL) {
        int failure = local_hub_make(local_hub_of(L), name, group, &replica);
        if (failure != 0) {
            return failure;
        }
    }
    replica_hold(replica);
    *box = replica;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, replica);
    lua_pop(L, 1);
    *made = replica;
    return 0;
}

/// channel:publish(data) | (event, data) | (Event) -> id; nil, "closed", "ECLOSED"; nil, message,
/// "EMSGSIZE" or "ENOMEM"
static int l_publish(lua_State *L)
{
    struct replica *replica = check_channel(L, 1);
    if (event_is_table(L)) {
        return event_encode_or_raise(L, l_publish);
    }
    struct sse_event event = check_event(L, false);
    struct event_id id;
    switch (replica_publish(replica, &event, &id)) {
    case 0:
        break;
    case -EMSGSIZE:
        limit_met("channel_bytes", replica_bounds(replica).bytes);
        return box_push_failure(L, "the event is larger than the channel's bytes", "EMSGSIZE");
    case -ENOBUFS:
        return push_full(L);
    case -ENOSPC:
        return push_full_group(L, replica->channel->group);
    case -ENOMEM:
        return box_push_failure(L, "there is no memory for the event", "ENOMEM");
    default:
        return box_push_closed(L);
    }
    if (replica_is_over(replica) && task_can_park(L)) {
        return wait_for_room(L, replica, id);
    }
    return push_id(L, id);
}

/// Parks the task until the readers were offered its event, so that a task which publishes without
/// end cannot outrun them.
static int wait_for_room(lua_State *L, struct replica *replica, struct event_id id)
{
    struct task *task = task_current(L);
    struct publishers *publishers = parts_of(L)->publishers;
    DCHECK(lua_touserdata(L, 1) != NULL); // the box stays there and keeps the replica
    task->wait_replica = replica;
    task->wait_sequence = id.sequence;
    list_append(&publishers->tasks, &task->wait_node);
    loop_at_turn_end(parts_of(L)->options->loop, LOOP_WRITE, &publishers->job);
    return task_park(L, stop_waiting, NULL);
}

static void stop_waiting(struct task *task, void *arg)
{
    (void)arg;
    list_remove(&task->wait_node);
}

static int push_id(lua_State *L, struct event_id id)
{
    char text[EVENT_ID_LEN_MAX];
    lua_pushlstring(L, text, event_id_format(id, text));
    return 1;
}

/// channel:cursor() -> the id of the newest event, or of the place before the first
static int l_cursor(lua_State *L)
{
    return push_id(L, replica_cursor(check_channel(L, 1)));
}

/// channel:close() -> true. Readers get what was published, and then the end. A second call does
/// nothing.
static int l_close(lua_State *L)
{
    replica_close(check_channel(L, 1));
    lua_pushboolean(L, 1);
    return 1;
}

/// The weak table has lost the box before this runs, so a new box may hold the same channel
/// already.
static int l_collect(lua_State *L)
{
    struct replica **box = check_box(L, 1, BOX_CHANNEL);
    if (*box != NULL) {
        struct replica *replica = *box;
        *box = NULL;
        replica_release(replica);
    }
    return 0;
}

static int p_name(lua_State *L)
{
    const struct replica *replica = check_channel(L, 1);
    lua_pushstring(L, replica_name(replica));
    return 1;
}

static int p_subscribers(lua_State *L)
{
    const struct replica *replica = check_channel(L, 1);
    lua_pushinteger(L, (lua_Integer)replica_subscriber_count(replica));
    return 1;
}
