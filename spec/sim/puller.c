// SPDX-License-Identifier: MIT
#include "puller.h"

#include "judge.h"
#include "place.h"
#include "slot.h"
#include "world.h"

#include "base/mem.h"
#include "hub/replica.h"
#include "sse/notice.h"
#include "wire/sse_decode.h"

#include <inttypes.h>
#include <stdio.h>

enum { MUCH_BYTES = 200 * 1024 }; // so much text may come in parts

static void begin(struct puller *puller);
static void choose_id(const struct puller *puller, const struct life *life, char *id);
static void expect_place(struct puller *puller, const char *id);
static uint64_t newcomers_pos(const struct puller *puller);
static const char *find_place(const struct puller *puller, const char *id, uint64_t *sequence);
static void take(struct puller *puller);
static void take_reset(struct puller *puller, const struct taken *taken);
static void check_expired(const struct puller *puller);
static uint64_t take_events(struct puller *puller, struct bytes text);
static void check_part(const struct puller *puller, uint64_t count, uint64_t count_max);
static bool has_ended(const struct puller *puller);
static void on_news(struct reader *reader);

void puller_step(struct puller *puller)
{
    if (puller->life == NULL) {
        begin(puller);
    } else if (chance_one_in(12)) {
        puller_close(puller);
    } else if (puller->is_awaiting && !chance_one_in(4)) {
        return;
    } else {
        take(puller);
    }
}

void puller_close(struct puller *puller)
{
    if (puller->life != NULL) {
        place_say("a puller of worker %d leaves %s", puller->worker->index, puller->life->name);
        struct life *life = puller->life;
        puller->life = NULL;
        puller->is_awaiting = puller->is_woken = false;
        reader_close(&puller->reader);
        reader_close(&puller->reader); // idempotent
        world_look_for(puller->world, life);
    }
}

/// What a puller has been told of, and has yet to take, is kept for it.
void pullers_begin_end_of_turn(const struct worker *worker)
{
    for (size_t i = 0; i < PULLERS; i++) {
        const struct puller *puller = &worker->world->pullers[i];
        bool is_here = puller->life != NULL && puller->worker == worker;
        if (is_here && (puller->is_awaiting || puller->is_woken)) {
            puller->life->is_wide = true;
        }
    }
}

void pullers_end_polls(struct worker *worker)
{
    struct puller *pullers = worker->world->pullers;
    bool goes_on[PULLERS];
    place_say("worker %d ends its polls", worker->index);
    for (size_t i = 0; i < PULLERS; i++) {
        bool is_here = pullers[i].life != NULL && pullers[i].worker == worker;
        bool is_poll = is_here && pullers[i].is_awaiting && pullers[i].reader.is_poll;
        pullers[i].is_dismissed = is_poll;
        goes_on[i] = pullers[i].is_awaiting && !is_poll;
    }
    readers_end_polls(&worker->local_hub);
    for (size_t i = 0; i < PULLERS; i++) {
        EXPECT(pullers[i].is_awaiting == goes_on[i], "a puller %s when the polls end",
               goes_on[i] ? "is woken" : "waits on");
        pullers[i].is_dismissed = false;
    }
}

/// Mostly a task that was woken runs before the next turn ends.
void pullers_run(const struct worker *worker)
{
    for (size_t i = 0; i < PULLERS; i++) {
        struct puller *puller = &worker->world->pullers[i];
        bool is_here = puller->life != NULL && puller->worker == worker;
        if (is_here && puller->is_woken && !chance_one_in(4)) {
            take(puller);
        }
    }
}

void pullers_end_turn(const struct worker *worker)
{
    for (size_t i = 0; i < PULLERS; i++) {
        const struct puller *puller = &worker->world->pullers[i];
        const struct life *life = puller->life;
        if (life == NULL || puller->worker != worker || !puller->is_awaiting) {
            continue;
        }
        bool has_end = (life->finished != 0 && life->finished <= worker->due) ||
                       (life->closed != 0 && life->closed <= worker->due);
        EXPECT(ledger_count_at(life, worker->due) <= puller->pos && !has_end,
               "%s: a puller waits on, though there is something", life->name);
    }
}

bool pullers_read(const struct world *world, const struct life *life)
{
    for (size_t i = 0; i < PULLERS; i++) {
        if (world->pullers[i].life == life) {
            return true;
        }
    }
    return false;
}

static void begin(struct puller *puller)
{
    struct world *world = puller->world;
    char id[PULLER_ID_BYTES];
    puller->worker = &world->workers[chance_below(world->worker_count)];
    struct opened opened =
        slot_open(puller->worker, &world->slots[chance_below(world->slot_count)]);
    if (opened.life->is_over) {
        return;
    }
    puller->is_earliest = chance_one_in(2);
    puller->newest_count = puller->is_earliest ? 0 : chance_below(4);
    choose_id(puller, opened.life, id);
    struct stream_start start = {
        .last = bytes_from_string(id),
        .is_earliest = puller->is_earliest,
        .newest_count = puller->newest_count,
    };
    puller->life = opened.life;
    reader_open(&puller->reader, opened.replica, &start);
    puller->reader.on_news = on_news;
    place_say("a puller of worker %d reads %s after \"%s\"", puller->worker->index,
              opened.life->name, id);
    world_check(world, opened.life);
    expect_place(puller, id);
    if (chance_one_in(2)) {
        reader_follow(&puller->reader);
        worker_note_look(puller->worker);
        opened.life->joined[puller->worker->index] = puller->worker->turn;
    }
}

/// Mostly the cursor that it was given last.
static void choose_id(const struct puller *puller, const struct life *life, char *id)
{
    uint64_t sequence = chance_below(life->count + 3);
    switch (chance_below(6)) {
    case 0:
        id[0] = '\0';
        return;
    case 1:
        snprintf(id, PULLER_ID_BYTES, "%" PRIx64 "-%" PRIu64, life->epoch, sequence);
        return;
    case 2:
        snprintf(id, PULLER_ID_BYTES, "%s", chance_one_in(2) ? "nonsense" : "1-1,2-2");
        return;
    default:
        memcpy(id, puller->last_id, PULLER_ID_BYTES);
    }
}

static void expect_place(struct puller *puller, const char *id)
{
    uint64_t sequence = 0;
    puller->told = NULL;
    puller->pos = newcomers_pos(puller);
    if (id[0] != '\0') {
        puller->told = find_place(puller, id, &sequence);
        puller->pos = puller->told == NULL ? sequence : puller->pos;
        puller->from = sequence;
    }
}

static uint64_t newcomers_pos(const struct puller *puller)
{
    const struct life *life = puller->life;
    uint64_t kept = life->count + 1 - life->first;
    bool is_all = puller->is_earliest || puller->newest_count > kept;
    return is_all ? life->first - 1 : life->count - puller->newest_count;
}

static const char *find_place(const struct puller *puller, const char *id, uint64_t *sequence)
{
    const struct life *life = puller->life;
    struct id_part parts[ID_PARTS_MAX];
    int count = judge_read_id(bytes_from_string(id), parts);
    if (count < 0) {
        return "malformed";
    }
    for (int i = 0; i < count; i++) {
        if (parts[i].epoch == life->epoch) {
            *sequence = parts[i].sequence;
            return *sequence > life->count       ? "ahead"
                   : *sequence + 1 < life->first ? "expired"
                                                 : NULL;
        }
    }
    return "epoch";
}

/// Takes a part. If there is nothing, it waits or tries again later.
static void take(struct puller *puller)
{
    struct life *life = puller->life;
    uint64_t count_max = chance_one_in(3) ? chance_between(1, 5) : 1000;
    struct worker *worker = puller->worker;
    bool is_joined = puller->reader.subscriber.replica != NULL;
    life->has_job[worker->index] = life->has_job[worker->index] || puller->is_woken;
    struct taken taken = reader_take(&puller->reader, count_max);
    if (is_joined) {
        worker_note_look(worker);
    }
    if (!life->is_over) {
        world_check(puller->world, life);
    }
    EXPECT(taken.failure == 0, "%s: nothing was taken: %d", life->name, taken.failure);
    struct bytes text = buf_bytes(&worker->local_hub.scratch);
    struct bytes reset = bytes_skip(text, taken.events_len);
    EXPECT((reset.len > 0) == (taken.reason != NOTICE_NONE), "%s: a reset and no text", life->name);
    if (taken.reason != NOTICE_NONE) {
        take_reset(puller, &taken);
    }
    EXPECT(puller->told == NULL, "%s: nobody told it of its reset (%s)", life->name, puller->told);
    uint64_t count = take_events(puller, bytes_of(text.at, taken.events_len));
    EXPECT(taken.next == puller->pos + 1, "%s: it is said to stand before %" PRIu64, life->name,
           taken.next);
    check_part(puller, count, count_max);
    EXPECT(taken.has_ended == has_ended(puller), "%s: the end at %" PRIu64 " is %s", life->name,
           puller->pos, taken.has_ended ? "told" : "not told");
    place_say("a puller takes %" PRIu64 " of %s%s", count, life->name,
              taken.has_ended ? " and the end" : "");
    snprintf(puller->last_id, PULLER_ID_BYTES, "%" PRIx64 "-%" PRIu64, life->epoch, puller->pos);
    puller->is_awaiting = puller->is_woken = false;
    if (is_joined && !taken_is_news(&taken) && !chance_one_in(4)) {
        puller->is_awaiting = true;
        (chance_one_in(2) ? reader_await : reader_await_as_poll)(&puller->reader);
    }
}

/// The reset comes before the events, and says how many are missing.
static void take_reset(struct puller *puller, const struct taken *taken)
{
    const struct life *life = puller->life;
    struct sse_event event;
    struct id_part parts[ID_PARTS_MAX];
    struct bytes text = buf_bytes(&puller->worker->local_hub.scratch);
    text = bytes_skip(text, taken->events_len);
    EXPECT(sse_take_event(&text, &event) && text.len == 0, "%s: a reset that is none", life->name);
    EXPECT(bytes_equal(event.event, bytes_from_string(life->reset_name)), "%s: %.*s", life->name,
           (int)event.event.len, event.event.at);
    EXPECT(judge_read_id(event.id, parts) == 1 && parts[0].epoch == life->epoch,
           "%s: a reset to nowhere", life->name);
    uint64_t to = parts[0].sequence;
    const char *reason = notice_outcome_text((int)taken->reason);
    char words[64];
    if (puller->told == NULL) {
        check_expired(puller);
        puller->told = "expired";
        puller->from = puller->pos;
    }
    EXPECT(strcmp(reason, puller->told) == 0, "%s: %s instead of %s", life->name, reason,
           puller->told);
    bool is_expired = strcmp(reason, "expired") == 0;
    int len = is_expired
                  ? snprintf(words, sizeof(words), "\"missed\":%" PRIu64 "}", to - puller->from)
                  : snprintf(words, sizeof(words), "\"missed\":null}");
    EXPECT(event.data.len > (size_t)len &&
               memcmp(event.data.at + event.data.len - (size_t)len, words, (size_t)len) == 0,
           "%s: a reset says %.*s, not %s", life->name, (int)event.data.len, event.data.at, words);
    EXPECT(to >= puller->pos && to <= life->count, "%s: reset to %" PRIu64 " from %" PRIu64,
           life->name, to, puller->pos);
    puller->pos = to;
    puller->told = NULL;
}

/// A place is lost only when the journal has let go of the next event. One that was woken while its
/// next event was there, and takes in the next turn, loses nothing, unless more was published than
/// twice what is kept, the bounds have changed, or the event is too old by now.
static void check_expired(const struct puller *puller)
{
    const struct life *life = puller->life;
    const struct worker *worker = puller->worker;
    EXPECT(life->is_over || life->first > puller->pos + 1,
           "%s: %" PRIu64 " is there and was skipped", life->name, puller->pos + 1);
    bool is_quick = puller->is_woken && !puller->is_late && worker->turn <= puller->woken_turn + 1;
    bool is_much = ledger_bytes_after(life, puller->pos) / 2 > life->bytes_max;
    bool is_changed = life->overrun > puller->woken_seen;
    bool is_tight = puller->world->limits.channel.total_bytes < TIGHT_BYTES;
    bool is_old = life->ttl_ms != UINT64_MAX &&
                  life->records[puller->pos].made_ms + life->ttl_ms <= puller->world->now_ms;
    EXPECT(!is_quick || is_much || is_changed || is_tight || is_old,
           "%s: it was quick and lost its place", life->name);
}

static uint64_t take_events(struct puller *puller, struct bytes text)
{
    const struct life *life = puller->life;
    struct sse_event event;
    struct id_part parts[ID_PARTS_MAX];
    uint64_t count = 0;
    for (; sse_take_event(&text, &event); count++) {
        EXPECT(judge_read_id(event.id, parts) == 1 && parts[0].epoch == life->epoch,
               "%s: an id is %.*s", life->name, (int)event.id.len, event.id.at);
        EXPECT(parts[0].sequence == puller->pos + 1, "%s: %" PRIu64 " came after %" PRIu64,
               life->name, parts[0].sequence, puller->pos);
        EXPECT(puller->pos < life->count, "%s: an event that was never published", life->name);
        const struct record *record = &life->records[puller->pos++];
        char *joined = mem_alloc(event.data.len + 1);
        struct bytes data = bytes_of(joined, sse_join_lines(event.data, joined));
        EXPECT(bytes_equal(data, record->data), "%s: %" PRIu64 " has other data", life->name,
               puller->pos);
        mem_free(joined);
        EXPECT(bytes_equal(event.event, bytes_from_string(record->type)),
               "%s: %" PRIu64 " is a %.*s", life->name, puller->pos, (int)event.event.len,
               event.event.at);
    }
    return count;
}

/// Unless it is much, everything is taken that was asked for.
static void check_part(const struct puller *puller, uint64_t count, uint64_t count_max)
{
    const struct life *life = puller->life;
    uint64_t left = life->count - puller->pos;
    EXPECT(count <= count_max, "%s: %" PRIu64 " events", life->name, count);
    bool is_full = count == count_max;
    uint64_t bytes = ledger_bytes_after(life, puller->pos - count);
    EXPECT(left == 0 || is_full || bytes > MUCH_BYTES || life->is_over,
           "%s: it took %" PRIu64 " and left %" PRIu64, life->name, count, left);
}

static bool has_ended(const struct puller *puller)
{
    const struct life *life = puller->life;
    return (life->is_over || life->finished != 0) && puller->pos == life->count;
}

static void on_news(struct reader *reader)
{
    struct puller *puller = CONTAINER_OF(reader, struct puller, reader);
    const struct life *life = puller->life;
    EXPECT(puller->is_awaiting, "%s: a puller is woken that does not wait", life->name);
    bool is_news = life->count > puller->pos || life->finished != 0 || life->is_over;
    EXPECT(is_news || puller->is_dismissed, "%s: a puller is woken for nothing", life->name);
    puller->is_awaiting = false;
    puller->is_woken = true;
    puller->woken_turn = puller->worker->turn;
    puller->woken_seen = puller->worker->due;
    puller->is_late = puller->is_dismissed || reader->replica->journal.first > puller->pos + 1;
}
