// SPDX-License-Identifier: MIT
#include "hub/channel.h"

#include "base/mem.h"
#include "hub/hub.h"

#include <errno.h>
#include <string.h>

enum {
    AGE_STEPS = 8,          // an aged frame stays at most this part of the age longer ...
    AGE_STEP_MS_MAX = 1000, // ... and at most this
};

/// The readers that come next, the nearest first. A reader only takes itself out of the list, and
/// only when it is its turn; it is not in here then.
struct foresight {
    const struct list *head;
    struct list *next; // the first that is not in `near`
    struct reader *near[READER_FORESIGHT];
};

static void on_turn_end(struct loop_job *job);
static uint64_t wake_readers(struct channel *channel);
static void look_ahead(struct foresight *foresight);
static void on_age(struct timer *timer);
static void trim(struct channel *channel, uint64_t keep_from);
static void arm_age(struct channel *channel);
static void settle(struct channel *channel);
static void set_text(char **text, struct bytes value);

struct channel *channel_new(struct hub *hub, struct bytes name)
{
    struct channel *channel = mem_zero(sizeof(struct channel) + name.len + 1);
    channel->hub = hub;
    memcpy(channel->name, name.at, name.len);
    channel->entry.key = bytes_of(channel->name, name.len);
    list_init(&channel->readers);
    loop_job_init(&channel->job, on_turn_end);
    timer_init(&channel->age, hub->loop, on_age);
    return channel;
}

void channel_free(struct channel *channel)
{
    CHECK(channel->holds == 0);
    CHECK(channel->reader_count == 0);
    if (!channel->is_closed) {
        map_remove(&channel->hub->channels, &channel->entry);
    }
    loop_job_cancel(&channel->job);
    timer_deinit(&channel->age);
    journal_deinit(&channel->journal);
    mem_free(channel->_reset_event);
    mem_free(channel->_lagged_event);
    channel->hub->channel_count--;
    mem_free(channel);
}

int channel_publish(struct channel *channel, const struct sse_event *event, struct event_id *id)
{
    struct hub *hub = channel->hub;
    DCHECK(!event->has_id);
    if (channel->is_closed) {
        return -ECANCELED;
    }
    struct journal_moment moment = {.stamp = hub->stamp + 1, .now_ms = loop_now_ms(hub->loop)};
    int failure = journal_append(&channel->journal, *event, moment, &hub->scratch);
    if (failure != 0) {
        return failure;
    }
    hub->stamp++;
    *id = channel_cursor(channel);
    loop_at_turn_end(hub->loop, LOOP_WRITE, &channel->job);
    return 0;
}

bool channel_is_over(const struct channel *channel)
{
    return journal_bytes_from(&channel->journal, channel->offered) >
           channel->hub->limits->stream_high_bytes;
}

void channel_age(struct channel *channel)
{
    if (journal_expiry_ms(&channel->journal) <= loop_now_ms(channel->hub->loop)) {
        trim(channel, channel->offered);
    }
}

void channel_set_bounds(struct channel *channel, const struct journal_bounds *bounds)
{
    channel->journal.bounds = *bounds;
    loop_at_turn_end(channel->hub->loop, LOOP_WRITE, &channel->job); // they may be smaller now
}

void channel_set_reset_event(struct channel *channel, struct bytes name)
{
    set_text(&channel->_reset_event, name);
}

void channel_set_lagged_event(struct channel *channel, struct bytes name)
{
    set_text(&channel->_lagged_event, name);
}

const char *channel_reset_event(const struct channel *channel)
{
    return channel->_reset_event == NULL ? "reset" : channel->_reset_event;
}

const char *channel_lagged_event(const struct channel *channel)
{
    return channel->_lagged_event == NULL ? "lagged" : channel->_lagged_event;
}

struct event_id channel_cursor(const struct channel *channel)
{
    return journal_id(&channel->journal, channel->journal.next - 1);
}

void channel_join(struct channel *channel, struct reader *reader)
{
    DCHECK(!channel->is_closed);
    reader->channel = channel;
    list_append(&channel->readers, &reader->node);
    channel->reader_count++;
}

void channel_leave(struct reader *reader)
{
    struct channel *channel = reader->channel;
    list_remove(&reader->node);
    reader->channel = NULL;
    channel->reader_count--;
    settle(channel);
}

void channel_close(struct channel *channel)
{
    if (channel->is_closed) {
        return;
    }
    channel->is_closed = true;
    map_remove(&channel->hub->channels, &channel->entry);
    loop_at_turn_end(channel->hub->loop, LOOP_WRITE, &channel->job);
}

void channel_hold(struct channel *channel)
{
    channel->holds++;
}

void channel_release(struct channel *channel)
{
    DCHECK(channel->holds > 0);
    channel->holds--;
    settle(channel);
}

/// Held, because the last reader may leave on the way.
static void on_turn_end(struct loop_job *job)
{
    struct channel *channel = CONTAINER_OF(job, struct channel, job);
    channel_hold(channel);
    trim(channel, wake_readers(channel));
    channel->offered = channel->journal.next;
    channel_release(channel);
}

/// Returns the first frame that a reader takes in the next turn though its kernel would take it
/// now; the newest when there is none.
static uint64_t wake_readers(struct channel *channel)
{
    uint64_t keep_from = channel->journal.next;
    struct foresight foresight = {.head = &channel->readers, .next = channel->readers.next};
    for (int i = 0; i < READER_FORESIGHT; i++) {
        look_ahead(&foresight); // the first ones, and then one for each that has its turn
    }
    LIST_EACH (node, after, &channel->readers) {
        struct reader *reader = LIST_ITEM(node, struct reader, node);
        look_ahead(&foresight);
        if (reader->ops->advance(reader) == READER_MORE && reader->next < keep_from) {
            keep_from = reader->next;
        }
    }
    return keep_from;
}

/// One reader further.
static void look_ahead(struct foresight *foresight)
{
    for (int i = 1; i < READER_FORESIGHT; i++) {
        foresight->near[i - 1] = foresight->near[i];
    }
    struct reader *far = NULL;
    if (foresight->next != foresight->head) {
        far = LIST_ITEM(foresight->next, struct reader, node);
        foresight->next = foresight->next->next;
        __builtin_prefetch(foresight->next);
    }
    foresight->near[READER_FORESIGHT - 1] = far;
    for (int i = 0; i < READER_FORESIGHT; i++) {
        if (foresight->near[i] != NULL) {
            foresight->near[i]->ops->foresee(foresight->near[i], i + 1);
        }
    }
}

static void on_age(struct timer *timer)
{
    struct channel *channel = CONTAINER_OF(timer, struct channel, age);
    trim(channel, channel->offered);
    settle(channel);
}

static void trim(struct channel *channel, uint64_t keep_from)
{
    journal_trim(&channel->journal, loop_now_ms(channel->hub->loop), keep_from);
    arm_age(channel);
}

/// Not for each frame: what ages within a step of the first leaves with it.
static void arm_age(struct channel *channel)
{
    uint64_t expiry_ms = journal_expiry_ms(&channel->journal);
    if (expiry_ms == UINT64_MAX) {
        timer_disarm(&channel->age);
        return;
    }
    uint64_t step_ms = channel->journal.bounds.age_ms / AGE_STEPS;
    timer_arm_at(&channel->age,
                 expiry_ms + (step_ms < AGE_STEP_MS_MAX ? step_ms : AGE_STEP_MS_MAX));
}

/// A channel that nobody needs any more goes.
static void settle(struct channel *channel)
{
    bool is_needed = channel->holds > 0 || channel->reader_count > 0 ||
                     (!channel->is_closed && !journal_is_empty(&channel->journal));
    if (!is_needed) {
        channel_free(channel);
    }
}

static void set_text(char **text, struct bytes value)
{
    mem_free(*text);
    *text = mem_alloc(value.len + 1);
    memcpy(*text, value.at, value.len);
    (*text)[value.len] = '\0';
}
