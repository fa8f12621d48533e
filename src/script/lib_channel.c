// SPDX-License-Identifier: MIT
//
// What a call may change depends on when it comes. `lunesse.channel` checks all options first. It
// then finds the channel, or makes it, and applies the options, unless the channel was there before
// and the scripts are still loading: the options then wait until the load has succeeded (see
// channel_options.c).
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
#include "script/channel_box.h"
#include "script/channel_options.h"
#include "script/channel_reader.h"
#include "script/collector.h"
#include "script/event.h"
#include "script/event_field.h"
#include "script/parts.h"
#include "script/state.h"
#include "script/task.h"

#include <errno.h>

/// What publishing needs in a generation.
struct publishers {
    struct list tasks; // tasks that wait for room in their channels
    struct loop_job job;
    struct room_waiter waiter;
};

static void wake_publishers(struct loop_job *job);
static struct local_hub *local_hub_of(lua_State *L);
static struct bytes check_name(lua_State *L);
static bool is_loading(lua_State *L);
static uint64_t group_bound(lua_State *L, const uint64_t *bound);
static int push_full(lua_State *L);
static int push_full_group(lua_State *L, const struct group *group);
static int l_channel_group(lua_State *L);
static int push_refusal(lua_State *L, const struct group *group, int failure);
static int push_id(lua_State *L, struct event_id id);
static int wait_for_room(lua_State *L, struct replica *replica, struct event_id id);
static void stop_waiting(struct task *task, void *arg);
static int l_channel(lua_State *L);
static int l_publish(lua_State *L);
static int l_cursor(lua_State *L);
static int l_reset(lua_State *L);
static int l_finish(lua_State *L);
static int l_close(lua_State *L);
static int l_collect(lua_State *L);
static int p_name(lua_State *L);
static int p_subscribers(lua_State *L);
static int p_finished(lua_State *L);

static const luaL_Reg methods[] = {
    {"publish", l_publish}, {"cursor", l_cursor}, {"read", l_read},   {"events", l_events},
    {"reset", l_reset},     {"finish", l_finish}, {"close", l_close}, {NULL, NULL},
};

static const struct box_property properties[] = {
    {"name", p_name}, {"subscribers", p_subscribers}, {"finished", p_finished}, {NULL, NULL}};

const struct box_class lib_channel_class = {"Channel", methods, properties, l_collect};

const luaL_Reg lib_channel_functions[] = {
    {"channel", l_channel}, {"channel_group", l_channel_group}, {NULL, NULL}};

void lib_channel_open(struct parts *parts)
{
    struct publishers *publishers = mem_new(struct publishers);
    list_init(&publishers->tasks);
    loop_job_init(&publishers->job, wake_publishers);
    list_init(&publishers->waiter.node);
    publishers->waiter.job = &publishers->job;
    parts->bindings.publishers = publishers;
}

void lib_channel_close(struct parts *parts)
{
    CHECK(list_is_empty(&parts->bindings.publishers->tasks));
    list_remove(&parts->bindings.publishers->waiter.node);
    loop_job_cancel(&parts->bindings.publishers->job);
    mem_free(parts->bindings.publishers);
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
            push_id(task->parts->L, journal_id(&replica->journal, task->wait_sequence));
            task_wake_with(task, 1);
        }
    }
}

/// channel(name, [options]) -> Channel; nil, message, "E2BIG" or "ENOMEM"
static int l_channel(lua_State *L)
{
    struct bytes name = check_name(L);
    check_options(L, 2, channel_option_names);
    check_not_ended(L);
    lua_settop(L, 2);
    struct journal_bounds bounds;
    check_channel_options(L, &bounds); // all arguments are checked before anything is made
    struct replica *replica = local_hub_find(local_hub_of(L), name);
    bool is_there = replica != NULL;
    if (replica == NULL || !channel_box_push(L, replica)) {
        struct group *group = check_group(L);
        int failure = push_new_channel_box(L, name, group, &replica);
        if (failure != 0) {
            return push_refusal(L, group, failure);
        }
    }
    if (is_there && is_loading(L)) {
        postpone_options_or_raise(L, channel_option_names);
    } else {
        apply_channel_options_or_raise(L, replica);
    }
    return 1;
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

/// A ceiling of a group, read under the lock, because another worker may change it.
static uint64_t group_bound(lua_State *L, const uint64_t *bound)
{
    struct hub *hub = local_hub_of(L)->hub;
    hub_lock(hub);
    uint64_t value = *bound;
    hub_unlock(hub);
    return value;
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
        postpone_options_or_raise(L, group_option_names);
    } else {
        apply_group_options_or_raise(L, name);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static bool is_loading(lua_State *L)
{
    return application_stage(parts_of(L)->application) == APPLICATION_LOADING;
}

/// channel:publish(data) | (event, data) | (Event) -> id; nil, "closed", "ECLOSED"; nil,
/// "finished", "EFINISHED"; nil, message, "EMSGSIZE" or "ENOMEM"
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
    case -ESHUTDOWN:
        return box_push_failure(L, "finished", "EFINISHED");
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
    struct publishers *publishers = parts_of(L)->bindings.publishers;
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

/// channel:reset() -> true; nil, "closed", "ECLOSED"; nil, "finished", "EFINISHED"
static int l_reset(lua_State *L)
{
    switch (replica_reset(check_channel(L, 1))) {
    case 0:
        lua_pushboolean(L, 1);
        return 1;
    case -ESHUTDOWN:
        return box_push_failure(L, "finished", "EFINISHED");
    default:
        return box_push_closed(L);
    }
}

/// channel:finish() -> true; nil, "closed", "ECLOSED". A second call does nothing.
static int l_finish(lua_State *L)
{
    if (replica_finish(check_channel(L, 1)) != 0) {
        return box_push_closed(L);
    }
    lua_pushboolean(L, 1);
    return 1;
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

static int p_finished(lua_State *L)
{
    lua_pushboolean(L, replica_is_finished(check_channel(L, 1)));
    return 1;
}
