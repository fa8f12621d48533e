// SPDX-License-Identifier: MIT
//
// The way of an event. `reader_take` copies the text of a bounded part of the channel's events into
// the worker's scratch memory. `push_events` makes one string of Lua of that, before anything can
// run that uses the scratch memory, and takes the string apart.
//
// A `read` takes first and subscribes only if it finds nothing and may wait. A loop subscribes from
// its beginning to its end. A task that waits is in the list of its reader:
//
//     parked --> on_news, on_timer: the task is woken, takes, and goes on
//        \-----> cancelled: stop_waiting takes it out of the list, and Lua closes the reader
#include "script/channel_reader.h"

#include "base/check.h"
#include "hub/local_hub.h"
#include "hub/replica.h"
#include "script/box.h"
#include "script/channel_box.h"
#include "script/json_value.h"
#include "script/obstacle.h"
#include "script/stack.h"
#include "script/start_option.h"
#include "script/task.h"
#include "sse/notice.h"
#include "sse/reader.h"
#include "wire/sse_decode.h"

enum {
    READ_COUNT = 100, // events that a `read` returns unless it names another number
    LOOP_COUNT = 64,  // events that a loop takes at a time
};

/// The user values of a reader.
enum { SLOT_EVENTS = 1, SLOT_COUNT = SLOT_EVENTS };

// The registry keeps the metatable of readers under the address of this.
static const char metatable_key;

/// The userdata.
struct reader_box {
    struct reader reader;
    struct list tasks;     // that wait, by their `wait_node`; usually one at most
    lua_Integer at, count; // of the events in SLOT_EVENTS: given to the loop, and taken
    bool has_ended;        // it has taken everything, and nothing follows
};

static uint64_t check_max(lua_State *L);
static struct reader_box *push_reader(lua_State *L, struct replica *replica,
                                      const struct stream_start *start);
static int push_taken(lua_State *L, const struct replica *replica, const struct taken *taken);
static lua_Integer push_events(lua_State *L, const struct replica *replica,
                               const struct taken *taken);
static void push_event(lua_State *L, const struct sse_event *event);
static void set_text(lua_State *L, const char *name, struct bytes text);
static int read_on(lua_State *L, int status, lua_KContext count_max);
static int l_next(lua_State *L);
static int go_on_or_raise(lua_State *L, int status, lua_KContext context);
static int wait_for_news(lua_State *L, struct reader_box *box, lua_KFunction then,
                         lua_KContext context);
static void on_news(struct reader *reader);
static void wake_tasks(struct reader_box *box);
static void on_timer(struct timer *timer);
static void stop_waiting(struct task *task, void *arg);
static int l_close_reader(lua_State *L);

void channel_reader_register(lua_State *L)
{
    STACK_BEGIN(L);
    lua_newtable(L);
    lua_pushliteral(L, "ChannelReader");
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pushcfunction(L, l_close_reader);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, l_close_reader);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
    DCHECK_STACK(L, 0);
}

/// Takes again once the reader has subscribed, because others may have published in between.
int l_read(lua_State *L)
{
    static const char *const names[] = {"after", "since", "max", "wait", NULL};
    struct replica *replica = check_channel(L, 1);
    check_options(L, 2, names);
    lua_settop(L, 2);
    uint64_t count_max = check_max(L);
    bool has_wait = opt_field(L, 2, "wait") != LUA_TNIL;
    uint64_t wait_ms = has_wait ? check_duration_option_ms(L, 2, "wait") : 0;
    struct stream_start start = check_start_options(L, 2);
    if (wait_ms > 0 && !task_can_park(L)) {
        return raise_obstacle(L, "read can only wait inside a handler, timer or callback");
    }
    struct reader_box *box = push_reader(L, replica, &start);
    lua_replace(L, 3);
    lua_settop(L, 3);
    lua_toclose(L, 3);
    struct taken taken = reader_take(&box->reader, count_max);
    if (!taken_is_news(&taken) && wait_ms > 0 && taken.failure == 0) {
        reader_follow(&box->reader);
        taken = reader_take(&box->reader, count_max);
        if (!taken_is_news(&taken) && taken.failure == 0) {
            task_arm_timer(task_current(L), wait_ms, on_timer);
            reader_await_as_poll(&box->reader);
            return wait_for_news(L, box, read_on, (lua_KContext)count_max);
        }
    }
    return push_taken(L, replica, &taken);
}

/// The loop subscribes now, so that it gets everything from now on, however late its first turn is.
int l_events(lua_State *L)
{
    static const char *const names[] = {"after", "since", NULL};
    struct replica *replica = check_channel(L, 1);
    check_options(L, 2, names);
    lua_settop(L, 2);
    struct stream_start start = check_start_options(L, 2);
    struct reader_box *box = push_reader(L, replica, &start);
    lua_replace(L, 1);
    lua_settop(L, 1); // [reader]
    reader_follow(&box->reader);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, l_next, 1);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, 1);
    return 4; // next, nil, nil, reader
}

static uint64_t check_max(lua_State *L)
{
    int is_whole = 1;
    lua_Integer count = READ_COUNT;
    int type = opt_field(L, 2, "max");
    if (type != LUA_TNIL) {
        count = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_whole) : 0;
    }
    luaL_argcheck(L, is_whole && count > 0, 2, "max: a whole number, 1 or more, expected");
    lua_pop(L, 1);
    return (uint64_t)count;
}

static struct reader_box *push_reader(lua_State *L, struct replica *replica,
                                      const struct stream_start *start)
{
    struct reader_box *box = lua_newuserdatauv(L, sizeof(struct reader_box), SLOT_COUNT);
    *box = (struct reader_box){.at = 0};
    list_init(&box->tasks);
    reader_open(&box->reader, replica, start);
    box->reader.on_news = on_news;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
    lua_setmetatable(L, -2);
    return box;
}

/// Pushes what `read` returns.
static int push_taken(lua_State *L, const struct replica *replica, const struct taken *taken)
{
    char id[EVENT_ID_LEN_MAX];
    if (taken->failure != 0) {
        return box_push_failure(L, "there is no memory for the events", "ENOMEM");
    }
    push_events(L, replica, taken);
    struct event_id cursor = {.epoch = taken->epoch, .sequence = taken->next - 1};
    lua_pushlstring(L, id, event_id_format(cursor, id));
    lua_pushboolean(L, taken->has_ended);
    return 3;
}

/// Pushes the list of events, a reset first. Returns how many they are. Makes a string of the
/// scratch memory before anything else, since a collection of garbage may run code that publishes.
static lua_Integer push_events(lua_State *L, const struct replica *replica,
                               const struct taken *taken)
{
    struct sse_event event;
    lua_Integer count = 0;
    struct bytes scratch = buf_bytes(&replica->local->scratch);
    lua_pushlstring(L, scratch.at, scratch.len);
    struct bytes events = bytes_of(lua_tostring(L, -1), scratch.len);
    struct bytes reset = bytes_skip(events, taken->events_len);
    events.len = taken->events_len;
    lua_newtable(L); // [text, list]
    json_value_push_array_class(L);
    lua_setmetatable(L, -2);
    if (sse_take_event(&reset, &event)) {
        push_event(L, &event);
        lua_pushstring(L, notice_outcome_text((int)taken->reason));
        lua_setfield(L, -2, "reset");
        lua_rawseti(L, -2, ++count);
    }
    while (sse_take_event(&events, &event)) {
        push_event(L, &event);
        lua_rawseti(L, -2, ++count);
    }
    lua_remove(L, -2);
    return count;
}

static void push_event(lua_State *L, const struct sse_event *event)
{
    luaL_Buffer buffer;
    lua_createtable(L, 0, 3);
    set_text(L, "id", event->id);
    if (event->has_event) {
        set_text(L, "event", event->event);
    }
    if (event->has_retry) {
        lua_pushnumber(L, (lua_Number)event->retry_ms / 1000);
        lua_setfield(L, -2, "retry");
    }
    if (event->has_data) {
        char *room = luaL_buffinitsize(L, &buffer, event->data.len);
        luaL_pushresultsize(&buffer, sse_join_lines(event->data, room));
        lua_setfield(L, -2, "data");
    }
}

static void set_text(lua_State *L, const char *name, struct bytes text)
{
    lua_pushlstring(L, text.at, text.len);
    lua_setfield(L, -2, name);
}

/// [channel, options, reader] -> results
static int read_on(lua_State *L, int status, lua_KContext count_max)
{
    struct reader_box *box = lua_touserdata(L, 3);
    (void)status;
    struct taken taken = reader_take(&box->reader, (uint64_t)count_max);
    return push_taken(L, box->reader.replica, &taken);
}

/// The next event of the loop, whose reader is the upvalue; nil at its end.
static int l_next(lua_State *L)
{
    struct reader_box *box = lua_touserdata(L, lua_upvalueindex(1));
    struct taken taken = {0};
    lua_settop(L, 0);
    bool has_more = box->reader.replica != NULL && !box->has_ended;
    if (box->at < box->count) {
        return go_on_or_raise(L, LUA_OK, 0);
    }
    if (has_more) {
        taken = reader_take(&box->reader, LOOP_COUNT);
    }
    if (taken.failure != 0) {
        return luaL_error(L, "there is no memory for the channel's events");
    }
    if (taken.events_len > 0 || taken.reason != NOTICE_NONE) {
        lua_Integer count = push_events(L, box->reader.replica, &taken);
        lua_setiuservalue(L, lua_upvalueindex(1), SLOT_EVENTS);
        box->at = 0;
        box->count = count;
        box->has_ended = taken.has_ended;
        return go_on_or_raise(L, LUA_OK, 0);
    }
    if (!has_more || taken.has_ended) {
        box->has_ended = true;
        lua_pushnil(L);
        return 1;
    }
    if (!task_can_park(L)) {
        return raise_obstacle(L, "events can only wait inside a handler, timer or callback");
    }
    reader_await(&box->reader);
    return wait_for_news(L, box, go_on_or_raise, 0);
}

/// Returns the next event that was taken. Takes more if there is none, which is so after a wait.
static int go_on_or_raise(lua_State *L, int status, lua_KContext context)
{
    struct reader_box *box = lua_touserdata(L, lua_upvalueindex(1));
    (void)status;
    (void)context;
    if (box->at >= box->count) {
        return l_next(L);
    }
    lua_getiuservalue(L, lua_upvalueindex(1), SLOT_EVENTS);
    lua_rawgeti(L, -1, ++box->at);
    lua_pushnil(L);
    lua_rawseti(L, -3, box->at); // the loop alone has the event now
    return 1;
}

/// Parks the task, whose reader awaits news, until there are some, or its timer fires.
static int wait_for_news(lua_State *L, struct reader_box *box, lua_KFunction then,
                         lua_KContext context)
{
    struct task *task = task_current(L);
    list_append(&box->tasks, &task->wait_node);
    return task_park_then(L, stop_waiting, NULL, then, context);
}

static void on_news(struct reader *reader)
{
    wake_tasks(CONTAINER_OF(reader, struct reader_box, reader));
}

static void wake_tasks(struct reader_box *box)
{
    while (!list_is_empty(&box->tasks)) {
        struct task *task = LIST_ITEM(box->tasks.next, struct task, wait_node);
        timer_disarm(&task->timer);
        list_remove(&task->wait_node);
        task_wake(task, 0);
    }
}

static void on_timer(struct timer *timer)
{
    struct task *task = CONTAINER_OF(timer, struct task, timer);
    list_remove(&task->wait_node);
    task_wake(task, 0);
}

static void stop_waiting(struct task *task, void *arg)
{
    (void)arg;
    timer_disarm(&task->timer);
    list_remove(&task->wait_node);
}

/// Lua closes the reader once it is no longer needed, and collects it later. Other tasks may wait
/// for the same iterator: their loops end now.
static int l_close_reader(lua_State *L)
{
    struct reader_box *box = lua_touserdata(L, 1);
    box->at = box->count = 0;
    reader_close(&box->reader);
    wake_tasks(box);
    return 0;
}
