// SPDX-License-Identifier: MIT
#include "judge.h"

#include "place.h"
#include "world.h"

#include "base/check.h"
#include "http/exchange.h"

#include <inttypes.h>
#include <stdio.h>

#define SHOW(bytes) (int)((bytes).len > 200 ? 200 : (bytes).len), (bytes).at

static bool read_part(struct bytes text, struct id_part *part);
static bool read_number(struct bytes text, unsigned base, uint64_t *number);
static void take_own(struct client *client, const struct wire_event *event);
static void take_ordinary(struct client *client, const struct wire_event *event,
                          const struct id_part *parts, int count);
static struct sub *sub_of(struct client *client, uint64_t epoch);
static void take_place(struct client *client, const struct wire_event *event,
                       const struct id_part *parts, int count);
static void take_greeting(struct client *client, const struct wire_event *event,
                          const struct id_part *parts, int count);
static void take_notice(struct client *client, const struct wire_event *event,
                        const struct id_part *parts, int count);
static struct sub *noticed(struct client *client, struct bytes data);
static void check_reset(const struct sub *sub, uint64_t to);
static void check_lagged(const struct client *client, const struct sub *sub, uint64_t to);
static void check_words(const struct sub *sub, struct bytes data, const char *reason, uint64_t to);
static void check_others(const struct client *client, const struct sub *sub,
                         const struct wire_event *event, bool is_notice);
static const struct id_part *part_of(const struct id_part *parts, int count, uint64_t epoch);
static void check_part(const struct sub *sub, const struct id_part *part, uint64_t begun,
                       bool is_notice);
static void check_order(struct client *client, uint64_t stamp, uint64_t since);
static bool is_notice_of(const struct client *client, struct bytes type);
static void remember(struct client *client, struct bytes id);
static bool was_slow(const struct client *client, const struct sub *sub);

int judge_read_id(struct bytes text, struct id_part parts[ID_PARTS_MAX])
{
    int count = 0;
    size_t start = 0;
    for (size_t at = 0; at <= text.len; at++) {
        if (at < text.len && text.at[at] != ',') {
            continue;
        }
        bool has_room = count < ID_PARTS_MAX;
        if (!has_room || !read_part(bytes_of(text.at + start, at - start), &parts[count])) {
            return -1;
        }
        count++;
        start = at + 1;
    }
    return count;
}

void judge_event(struct wire *wire, const struct wire_event *event)
{
    struct client *client = CONTAINER_OF(wire, struct client, wire);
    place.reader = client->index;
    place_say("%d receives \"%.*s\" %.*s, %zu bytes", client->index, SHOW(event->id),
              SHOW(event->type), event->data.len);
    if (!event->has_id) {
        take_own(client, event);
        return;
    }
    struct id_part parts[ID_PARTS_MAX];
    int count = judge_read_id(event->id, parts);
    EXPECT(count > 0, "the id of an event is \"%.*s\"", SHOW(event->id));
    if (!event->has_data) {
        take_place(client, event, parts, count);
    } else if (is_notice_of(client, event->type)) {
        take_notice(client, event, parts, count);
    } else if (bytes_starts_with(event->type, BYTES("greet "))) {
        take_greeting(client, event, parts, count);
    } else {
        take_ordinary(client, event, parts, count);
    }
    for (int i = 0; i < count; i++) {
        sub_of(client, parts[i].epoch)->is_named = true;
    }
    remember(client, event->id);
}

void judge_complete(struct client *client)
{
    place.reader = client->index;
    EXPECT(client->own_seen == client->own_count, "%zu of %zu own events are missing",
           client->own_count - client->own_seen, client->own_count);
    for (size_t i = 0; i < client->sub_count; i++) {
        struct sub *sub = &client->subs[i];
        uint64_t known = ledger_count_at(sub->life, client->worker->due);
        uint64_t end = sub->end < known ? sub->end : known;
        if (sub->is_gone) {
            continue;
        }
        EXPECT(sub->told == NULL, "%s: nobody told it of its reset (%s)", sub->life->name,
               sub->told);
        EXPECT(!sub->is_unplaced, "%s: nobody gave it an id", sub->life->name);
        EXPECT(!sub->is_greeting, "%s: nobody greeted it", sub->life->name);
        EXPECT(sub->pos >= end, "%s: it is at %" PRIu64 " and should have %" PRIu64,
               sub->life->name, sub->pos, end);
    }
    if (!client->is_ending) {
        EXPECT(wire_is_between(&client->wire), "an event is only half there");
    } else if (client->is_chunked) {
        EXPECT(client->is_cut || client->wire.state == WIRE_DONE, "the last chunk is missing");
    }
}

void judge_reason(const struct client *client)
{
    place.reader = client->index;
    bool is_lagging = false;
    for (size_t i = 0; i < client->sub_count; i++) {
        const struct sub *sub = &client->subs[i];
        const struct life *life = sub->life;
        bool is_behind = !sub->is_gone && life->first > sub->pos + 1;
        is_lagging = is_lagging || (is_behind && life->may_resume && was_slow(client, sub));
    }
    bool is_reset = client->transport.is_reset;
    // The server may close the connection behind the last chunk, before it has noted the end.
    bool is_ended = client->is_ending && !client->is_cut;
    bool is_complete = client->reason == END_FINISHED || is_ended;
    EXPECT(is_complete || client->wire.state != WIRE_DONE, "it looks complete and was cut");
    switch ((enum end_reason)client->reason) {
    case END_FINISHED:
        EXPECT(client->is_ending && !client->is_cut, "a stream ended that nobody had ended");
        return;
    case END_FAILED:
        EXPECT(client->is_cut, "a stream failed that nobody had cut");
        return;
    case END_SHUTDOWN:
        return;
    case END_LEFT:
        EXPECT(client->transport.is_lost, "it has not left");
        return;
    case END_SLOW:
        EXPECT(is_reset || !client->is_done, "a slow reader's connection was not reset");
        EXPECT(is_lagging || client->is_flooded, "it was reset as slow and does not lag");
        return;
    case END_TIMEOUT:
        EXPECT(client->silent_ms >= client->world->limits.conn.peer_timeout_ms,
               "%" PRIu64 " ms are not yet the end", client->silent_ms);
        return;
    case END_REFUSED:
    case END_RELOADED:
        place_fail("the exchange ended for reason %d", client->reason);
    }
}

/// `is_lagging` was noted at the end of an earlier turn. Once the channel has an event again, the
/// client must be disconnected or told.
void judge_lag(const struct client *client)
{
    place.reader = client->index;
    const struct worker *worker = client->worker;
    bool is_aborted = client->stream->exchange->is_aborted;
    for (size_t i = 0; i < client->sub_count; i++) {
        const struct sub *sub = &client->subs[i];
        bool is_told = sub->life->may_skip || sub->is_gone || sub->told != NULL;
        bool is_woken = sub_has_news(sub, worker->offered, worker->due);
        if (sub->is_lagging && is_woken && !is_told) {
            EXPECT(is_aborted, "%s: it lags and is still connected", sub->life->name);
        }
    }
}

static bool read_part(struct bytes text, struct id_part *part)
{
    const char *hyphen = text.len == 0 ? NULL : memchr(text.at, '-', text.len);
    if (hyphen == NULL) {
        return false;
    }
    size_t len = (size_t)(hyphen - text.at);
    return read_number(bytes_of(text.at, len), 16, &part->epoch) &&
           read_number(bytes_skip(text, len + 1), 10, &part->sequence);
}

/// Lower case, no sign, no leading zero, at most 64 bits.
static bool read_number(struct bytes text, unsigned base, uint64_t *number)
{
    static const char digits[] = "0123456789abcdef";
    *number = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = memchr(digits, text.at[i], base);
        uint64_t next = 0;
        if (digit == NULL || __builtin_mul_overflow(*number, base, &next) ||
            __builtin_add_overflow(next, (uint64_t)(digit - digits), number)) {
            return false;
        }
    }
    return text.len == 1 || (text.len > 1 && text.at[0] != '0');
}

static void take_own(struct client *client, const struct wire_event *event)
{
    char wanted[32];
    int len = snprintf(wanted, sizeof(wanted), "own %zu", client->own_seen);
    EXPECT(bytes_equal(event->type, bytes_of(wanted, (size_t)len)),
           "\"%s\" should follow, not %.*s", wanted, SHOW(event->type));
    EXPECT(client->own_seen < client->own_count, "it was never sent \"%s\"", wanted);
    check_order(client, client->own_stamps[client->own_seen++], 0);
}

static void take_ordinary(struct client *client, const struct wire_event *event,
                          const struct id_part *parts, int count)
{
    struct sub *sub = NULL;
    for (int i = 0; i < count; i++) {
        struct sub *found = sub_of(client, parts[i].epoch);
        if (parts[i].sequence != found->pos) {
            EXPECT(sub == NULL, "two parts moved at once: \"%.*s\"", SHOW(event->id));
            EXPECT(parts[i].sequence == found->pos + 1, "%s: %" PRIu64 " came after %" PRIu64,
                   found->life->name, parts[i].sequence, found->pos);
            sub = found;
        }
    }
    EXPECT(sub != NULL, "no part moved: \"%.*s\"", SHOW(event->id));
    EXPECT(sub->told == NULL, "%s: an event before the reset (%s)", sub->life->name, sub->told);
    EXPECT(!sub->is_unplaced, "%s: an event before the id of its place", sub->life->name);
    EXPECT(!sub->is_greeting, "%s: an event before the greeting", sub->life->name);
    EXPECT(event->begun < sub->left, "%s: an event after unsubscribing", sub->life->name);
    EXPECT(sub->pos < sub->life->count, "%s: an event that was never published", sub->life->name);
    EXPECT(sub->pos < sub->end, "%s: an event after the end", sub->life->name);
    const struct record *record = &sub->life->records[sub->pos++];
    EXPECT(bytes_equal(event->data, record->data), "%s: %" PRIu64 " has other data: %.*s",
           sub->life->name, sub->pos, SHOW(event->data));
    EXPECT(bytes_equal(event->type, bytes_from_string(record->type)), "%s: %" PRIu64 " is a %.*s",
           sub->life->name, sub->pos, SHOW(event->type));
    check_order(client, record->stamp, sub->stamp);
    check_others(client, sub, event, false);
}

static struct sub *sub_of(struct client *client, uint64_t epoch)
{
    const struct life *life = world_find(client->world, epoch);
    EXPECT(life != NULL, "an id names an unknown epoch %" PRIx64, epoch);
    struct sub *sub = client_sub(client, life);
    EXPECT(sub != NULL, "an id names %s, which it does not follow", life->name);
    return sub;
}

/// An event with an id and no data, for a client that came without an id. It is sent once, and its
/// id names the place in each channel.
static void take_place(struct client *client, const struct wire_event *event,
                       const struct id_part *parts, int count)
{
    bool is_due = false;
    for (int i = 0; i < count; i++) {
        struct sub *sub = sub_of(client, parts[i].epoch);
        is_due = is_due || sub->is_unplaced;
        sub->is_unplaced = false;
    }
    EXPECT(is_due, "an id alone that nobody waits for: \"%.*s\"", SHOW(event->id));
    check_others(client, NULL, event, true);
}

/// The greeting that the subscription asked for, whose data and id both give the stream's place.
static void take_greeting(struct client *client, const struct wire_event *event,
                          const struct id_part *parts, int count)
{
    uint64_t index = 0;
    struct bytes digits = bytes_skip(event->type, sizeof("greet ") - 1);
    bool is_known = read_number(digits, 10, &index) && index < client->sub_count;
    EXPECT(is_known, "a greeting that nobody asked for: %.*s", SHOW(event->type));
    struct sub *sub = &client->subs[index];
    EXPECT(sub->is_greeting, "%s: a second greeting", sub->life->name);
    EXPECT(sub->told == NULL, "%s: a greeting before the reset (%s)", sub->life->name, sub->told);
    EXPECT(part_of(parts, count, sub->life->epoch) != NULL, "%s: its greeting does not name it",
           sub->life->name);
    EXPECT(bytes_equal(event->data, event->id), "%s: a greeting with the data %.*s",
           sub->life->name, SHOW(event->data));
    sub->is_greeting = false;
    for (int i = 0; i < count; i++) {
        sub_of(client, parts[i].epoch)->is_unplaced = false;
    }
    check_others(client, NULL, event, true);
}

static void take_notice(struct client *client, const struct wire_event *event,
                        const struct id_part *parts, int count)
{
    struct sub *sub = noticed(client, event->data);
    const struct life *life = sub->life;
    const struct id_part *part = part_of(parts, count, life->epoch);
    EXPECT(part != NULL, "%s: the id of its notice does not name it", life->name);
    uint64_t to = part->sequence;
    bool is_reset = sub->told != NULL;
    const char *type = is_reset ? life->reset_name : life->lagged_name;
    EXPECT(bytes_equal(event->type, bytes_from_string(type)), "%s: %.*s instead of %s", life->name,
           SHOW(event->type), type);
    if (is_reset) {
        check_words(sub, event->data, sub->told, to);
        check_reset(sub, to);
    } else {
        check_words(sub, event->data, "slow", to);
        check_lagged(client, sub, to);
    }
    sub->pos = to;
    sub->told = NULL;
    sub->is_unplaced = false; // the notice has placed it
    check_others(client, sub, event, true);
}

/// The subscription that the data of a notice speak of, by the epoch of the new place.
static struct sub *noticed(struct client *client, struct bytes data)
{
    static const char key[] = "\"to\":\"";
    const char *to = memmem(data.at, data.len, key, sizeof(key) - 1);
    EXPECT(to != NULL, "a notice without a place: %.*s", SHOW(data));
    struct bytes id = bytes_skip(data, (size_t)(to - data.at) + sizeof(key) - 1);
    const char *end = memchr(id.at, '"', id.len);
    struct id_part part = {0};
    bool is_id = end != NULL && read_part(bytes_of(id.at, (size_t)(end - id.at)), &part);
    EXPECT(is_id, "a notice to nowhere: %.*s", SHOW(data));
    return sub_of(client, part.epoch);
}

/// A reset leads to the place that the subscription was given, or to the oldest event if the
/// journal has dropped what stood there.
static void check_reset(const struct sub *sub, uint64_t to)
{
    EXPECT(to >= sub->pos && to <= sub->life->count, "%s: reset to %" PRIu64 ", not %" PRIu64,
           sub->life->name, to, sub->pos);
    EXPECT(to == sub->pos || to < sub->life->first,
           "%s: reset to %" PRIu64 " though what follows %" PRIu64 " is there", sub->life->name, to,
           sub->pos);
}

/// A notice of lag leads to the event that was the newest at the end of some turn; with several
/// workers, to the newest when one of them looked.
static void check_lagged(const struct client *client, const struct sub *sub, uint64_t to)
{
    const struct life *life = sub->life;
    EXPECT(life->may_skip, "%s: a notice where the connection should end", life->name);
    EXPECT(life->first > sub->pos + 1 && was_slow(client, sub), "%s: it does not lag", life->name);
    EXPECT(to > sub->pos && to <= life->count, "%s: it lags from %" PRIu64 " to %" PRIu64,
           life->name, sub->pos, to);
    bool is_head = to == life->count || life->records[to].turn != life->records[to - 1].turn;
    EXPECT(is_head || client->world->worker_count > 1, "%s: %" PRIu64 " was never the newest",
           life->name, to);
}

/// Compares the data of a notice with the exact text.
static void check_words(const struct sub *sub, struct bytes data, const char *reason, uint64_t to)
{
    char name[2 * NAME_BYTES_MAX];
    char from[64] = "null";
    char missed[32] = "null";
    char wanted[400];
    size_t len = 0;
    for (const char *at = sub->life->name; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            name[len++] = '\\';
        }
        name[len++] = *at;
    }
    name[len] = '\0';
    bool is_lagged = sub->told == NULL;
    if (is_lagged || strcmp(reason, "expired") == 0) {
        uint64_t place_before = is_lagged ? sub->pos : sub->from;
        snprintf(from, sizeof(from), "\"%" PRIx64 "-%" PRIu64 "\"", sub->life->epoch, place_before);
        snprintf(missed, sizeof(missed), "%" PRIu64, to - place_before);
    }
    int size = snprintf(wanted, sizeof(wanted),
                        "{\"channel\":\"%s\",\"reason\":\"%s\",\"from\":%s,\"to\":\"%" PRIx64
                        "-%" PRIu64 "\",\"missed\":%s}",
                        name, reason, from, sub->life->epoch, to, missed);
    EXPECT(bytes_equal(data, bytes_of(wanted, (size_t)size)), "%s: a notice says %.*s, not %s",
           sub->life->name, SHOW(data), wanted);
}

/// The id names the place in every other channel as well.
static void check_others(const struct client *client, const struct sub *sub,
                         const struct wire_event *event, bool is_notice)
{
    struct id_part parts[ID_PARTS_MAX];
    int count = judge_read_id(event->id, parts);
    for (size_t i = 0; i < client->sub_count; i++) {
        const struct sub *other = &client->subs[i];
        if (other != sub) {
            check_part(other, part_of(parts, count, other->life->epoch), event->begun, is_notice);
        }
    }
}

static const struct id_part *part_of(const struct id_part *parts, int count, uint64_t epoch)
{
    const struct id_part *found = NULL;
    for (int i = 0; i < count; i++) {
        if (parts[i].epoch == epoch) {
            EXPECT(found == NULL, "an id names an epoch twice");
            found = &parts[i];
        }
    }
    return found;
}

/// Before it was told of its reset, a reader must not be given the place that the reset leads to:
/// it could come back with that and never hear of it. A notice can have been made some turns ago.
static void check_part(const struct sub *sub, const struct id_part *part, uint64_t begun,
                       bool is_notice)
{
    if (part != NULL) {
        uint64_t wanted = sub->told == NULL ? sub->pos : sub->from;
        bool is_known = sub->told == NULL || strcmp(sub->told, "expired") == 0;
        EXPECT(is_known && part->sequence == wanted,
               "%s: an id says %" PRIu64 ", but it stands at %" PRIu64 " (%s)", sub->life->name,
               part->sequence, wanted, sub->told == NULL ? "told" : sub->told);
        return;
    }
    bool is_leaving = sub->is_gone || sub->end != UINT64_MAX;
    bool is_new = sub->joined >= begun || (is_notice && !sub->is_named);
    EXPECT(is_leaving || is_new || sub->told != NULL, "%s: an id does not name it",
           sub->life->name);
}

/// Events come in the order in which they were published. An event older than the subscription may
/// come after one that was published since.
static void check_order(struct client *client, uint64_t stamp, uint64_t since)
{
    EXPECT(stamp > client->newest || client->newest < since,
           "something came that was said earlier than what came before it");
    client->newest = stamp > client->newest ? stamp : client->newest;
}

static bool is_notice_of(const struct client *client, struct bytes type)
{
    for (size_t i = 0; i < client->sub_count; i++) {
        const struct life *life = client->subs[i].life;
        if (bytes_equal(type, bytes_from_string(life->reset_name)) ||
            bytes_equal(type, bytes_from_string(life->lagged_name))) {
            return true;
        }
    }
    return false;
}

static void remember(struct client *client, struct bytes id)
{
    EXPECT(id.len < ID_BYTES_MAX, "an id of %zu bytes", id.len);
    if (chance_one_in(8)) {
        memcpy(client->old_ids[chance_below(OLD_IDS)], client->last_id, ID_BYTES_MAX);
    }
    memcpy(client->last_id, id.at, id.len);
    client->last_id[id.len] = '\0';
}

/// Whether the client may lag: it did not take what it could have taken, or one turn published more
/// than the journal keeps. With several workers, also when the events that the client lacks are
/// twice what the journal keeps, because its worker came late.
static bool was_slow(const struct client *client, const struct sub *sub)
{
    const struct life *life = sub->life;
    bool is_late =
        client->world->worker_count > 1 && ledger_bytes_after(life, sub->pos) / 2 > life->bytes_max;
    bool is_overrun = is_late || life->overrun > client->worker->offered;
    return client->was_behind || client->was_blocked || client->is_wide || is_overrun;
}
