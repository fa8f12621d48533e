// SPDX-License-Identifier: MIT
#include "client.h"

#include "host.h"
#include "judge.h"
#include "place.h"
#include "world.h"

#include "base/mem.h"
#include "http/exchange.h"
#include "http/service.h"
#include "net/socket_address.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    WIDE_BYTES = 200 * 1024, // more may take a stream several turns
    WIDE_ID_BYTES = 200,     // of an event on a stream of several channels
    FRAMING_BYTES = 1000,    // that a queue may hold besides events: the head, notices
};

static void connect_to(struct client *client);
static void forget_stream(struct client *client);
static void expect_word(struct client *client);
static void take_bytes(struct client *client);
static void watch_room(struct client *client);
static void watch_stream(struct client *client);
static void end_stream(struct client *client);
static bool is_served(const struct client *client);

void client_init(struct client *client, struct world *world, int index)
{
    *client = (struct client){.world = world, .worker = &world->workers[0], .index = index};
    wire_init(&client->wire, true, judge_event);
}

void client_deinit(struct client *client)
{
    place.reader = client->index;
    EXPECT(client->state == CLIENT_AWAY && client->stream == NULL, "it is still connected");
    wire_deinit(&client->wire);
    mem_free(client->own_stamps);
}

void client_request(struct client *client, bool is_chunked)
{
    char text[ID_BYTES_MAX + 200];
    int len = snprintf(text, sizeof(text),
                       "GET /%d HTTP/1.%d\r\nHost: sim\r\nAccept: text/event-stream\r\n%s%s%s\r\n",
                       client->index, is_chunked ? 1 : 0,
                       client->sent_id[0] == '\0' ? "" : "Last-Event-ID: ", client->sent_id,
                       client->sent_id[0] == '\0' ? "" : "\r\n");
    if (client->state == CLIENT_AWAY) {
        connect_to(client);
    }
    forget_stream(client);
    client->state = CLIENT_READING;
    client->is_chunked = is_chunked;
    wire_deinit(&client->wire);
    wire_init(&client->wire, is_chunked, judge_event);
    place_say("%d requests of worker %d over HTTP/1.%d with \"%s\"", client->index,
              client->worker->index, is_chunked ? 1 : 0, client->sent_id);
    loopback_send(&client->transport, bytes_of(text, (size_t)len));
    EXPECT(client->stream != NULL, "its request was not taken");
}

void client_make_room(struct client *client, size_t room)
{
    place_say("%d has room for %zu", client->index, room == SIZE_MAX ? 999999999 : room);
    client->has_moved = client->has_moved || client->transport.awaits_room;
    loopback_make_room(&client->transport, room);
}

void client_leave(struct client *client, size_t cut)
{
    place_say("%d leaves after %zu bytes", client->index, cut);
    client->cut = cut;
}

void client_half_close(struct client *client)
{
    place_say("%d half-closes", client->index);
    loopback_end(&client->transport);
    worker_look(
        client->worker); // the server writes a comment, to find out whether the peer is gone
}

void client_vanish(struct client *client)
{
    place_say("%d vanishes", client->index);
    client->transport.is_lost = true;
    client->state = CLIENT_LEFT;
}

void client_hang_up(struct client *client)
{
    place_say("%d hangs up", client->index);
    if (client->state == CLIENT_IDLE && chance_one_in(2)) {
        loopback_end(&client->transport);
    } else {
        loopback_fail(&client->transport);
    }
    client->state = CLIENT_LEFT;
}

/// The worker's copy of the journal may still have frames that the journal has dropped.
void client_begin_end_of_turn(struct client *client)
{
    uint64_t due = client->own_bytes;
    client->was_blocked = client->transport.awaits_room;
    if (client->state != CLIENT_READING) {
        return;
    }
    for (size_t i = 0; i < client->sub_count; i++) {
        const struct sub *sub = &client->subs[i];
        if (!sub->is_gone) {
            due += ledger_bytes_after(sub->life, sub->pos);
            due += client->sub_count > 1 ? (sub->life->count - sub->pos) * WIDE_ID_BYTES : 0;
        }
    }
    client->is_wide = due > WIDE_BYTES;
    for (size_t i = 0; client->is_wide && i < client->sub_count; i++) {
        client->subs[i].life->is_wide = true;
    }
}

void client_end_turn(struct client *client)
{
    place.reader = client->index;
    if (client->state == CLIENT_AWAY) {
        return;
    }
    if (client->stream != NULL) {
        stream_check(client->stream);
    }
    if (client->state == CLIENT_READING) {
        take_bytes(client);
    }
    buf_clear(&client->transport.taken);
    if (client->state == CLIENT_READING) {
        watch_room(client);
        watch_stream(client);
    }
    if (client->cut != SIZE_MAX && client->state == CLIENT_READING) {
        client->state = CLIENT_LEFT;
        loopback_fail(&client->transport);
    }
    client->has_moved = false;
    bool is_closing = client->transport.is_closing;
    client->state = is_closing ? CLIENT_LEFT : client->state;
    if (client->transport.is_gone) {
        EXPECT(client->stream == NULL, "its connection has gone before its stream");
        loopback_deinit(&client->transport);
        client->transport = (struct loopback){.is_gone = true};
        client->state = CLIENT_AWAY;
    }
    place.reader = -1;
}

/// The journal may have dropped, in this turn, the event that the client reads next. Its worker
/// knows so only when it takes over later events, and it keeps no frames for another worker's
/// clients.
void client_note_lag(struct client *client, uint64_t offered_before)
{
    const struct worker *worker = client->worker;
    for (size_t i = 0; i < client->sub_count; i++) {
        struct sub *sub = &client->subs[i];
        const struct life *life = sub->life;
        bool has_more = sub->end == UINT64_MAX || sub->pos + 1 < sub->end; // one may be begun
        bool is_known = life->channel != NULL && sub->told == NULL;
        bool is_told = !life->is_kept && sub_has_news(sub, offered_before, worker->due);
        sub->is_lagging =
            has_more && is_known && life->first > sub->pos + 2 && (sub->is_lagging || is_told);
    }
}

void client_settled(struct client *client)
{
    place.reader = client->index;
    if (client->state == CLIENT_READING && is_served(client)) {
        EXPECT(!client->is_ending, "its stream is at its end, and not over");
        judge_complete(client);
        client->own_bytes = 0;
    }
    place.reader = -1;
}

bool clients_read(const struct world *world, const struct life *life)
{
    for (size_t i = 0; i < world->client_count; i++) {
        struct client *client = &world->clients[i];
        bool is_open = client->stream != NULL && !client->is_ending;
        const struct sub *sub = is_open ? client_sub(client, life) : NULL;
        if (sub != NULL && !sub->is_gone) {
            return true;
        }
    }
    return false;
}

uint64_t clients_offered(const struct world *world, const struct life *life)
{
    uint64_t least = world->worker_count == 1 ? world->workers[0].offered : UINT64_MAX;
    least = ledger_count_at(life, least);
    for (size_t i = 0; i < world->client_count; i++) {
        struct client *client = &world->clients[i];
        bool is_open = client->stream != NULL && !client->is_ending;
        const struct sub *sub = is_open ? client_sub(client, life) : NULL;
        if (sub != NULL && !sub->is_gone) {
            uint64_t offered = ledger_count_at(life, client->worker->offered);
            offered = offered < sub->start ? sub->start : offered;
            least = offered < least ? offered : least;
        }
    }
    return least;
}

void clients_see_end_of(const struct worker *worker, const struct life *life)
{
    struct world *world = worker->world;
    for (size_t i = 0; i < world->client_count; i++) {
        struct client *client = &world->clients[i];
        bool is_here = client->worker == worker && client->stream != NULL;
        struct sub *sub = is_here ? client_sub(client, life) : NULL;
        if (sub != NULL && !sub->is_gone) {
            sub->end = sub->end < life->count ? sub->end : life->count;
            client_look_for_end(client);
        }
    }
}

void clients_see_end(struct world *world)
{
    for (size_t i = 0; i < world->client_count; i++) {
        struct client *client = &world->clients[i];
        if (client->stream != NULL && client->stream->is_open) {
            expect_word(client);
            host_note_end(client);
        }
    }
}

void clients_take_all(struct world *world)
{
    for (size_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].state == CLIENT_READING) {
            client_make_room(&world->clients[i], SIZE_MAX);
        }
    }
}

void client_look_for_end(struct client *client)
{
    size_t count = 0;
    size_t closed_count = 0;
    for (size_t i = 0; i < client->sub_count; i++) {
        const struct sub *sub = &client->subs[i];
        count += sub->is_gone ? 0 : 1;
        closed_count += !sub->is_gone && sub->end != UINT64_MAX ? 1 : 0;
    }
    if (count > 0 && count == closed_count) {
        client->is_ending = true;
    }
}

struct sub *client_sub(struct client *client, const struct life *life)
{
    for (size_t i = client->sub_count; i-- > 0;) {
        if (client->subs[i].life == life) {
            return &client->subs[i];
        }
    }
    return NULL;
}

/// Most clients take all bytes at once; slow ones take up to 2000 at first. Chance chooses the
/// worker, as the kernel does.
static void connect_to(struct client *client)
{
    struct world *world = client->world;
    client->worker = &world->workers[chance_below(world->worker_count)];
    bool is_slow = chance_one_in(world->hurry);
    loopback_init(&client->transport, &client->worker->loop,
                  is_slow ? chance_below(2000) : SIZE_MAX);
    static const struct socket_address peer; // the address does not matter
    service_accept(&client->worker->service, &client->transport.base, &peer, false);
}

/// The client keeps the subscriptions of the stream before: what it may resume is judged by them.
static void forget_stream(struct client *client)
{
    memcpy(client->prior, client->subs, sizeof(client->prior));
    client->prior_count = client->sub_count;
    client->sub_count = 0;
    client->is_cut = client->is_ending = client->is_done = client->is_judged = client->is_flooded =
        false;
    client->own_count = client->own_seen = client->own_bytes = 0;
    client->newest = 0;
    client->cut = SIZE_MAX;
    client->was_behind = client->is_wide = client->was_blocked = client->has_moved = false;
    client->heard_ms = client->blocked_ms = worker_now_ms(client->worker);
}

/// The server is about to send a few bytes of its own, such as a comment. If the queue is full, the
/// stream may be reset for that.
static void expect_word(struct client *client)
{
    uint64_t bytes_max = client->world->limits.stream.max_bytes;
    client->is_flooded = client->is_flooded || client->own_bytes + FRAMING_BYTES > bytes_max;
}

static void take_bytes(struct client *client)
{
    struct bytes taken = buf_bytes(&client->transport.taken);
    if (taken.len > 0 || client->transport.awaits_room || client->has_moved) {
        client->heard_ms = worker_now_ms(client->worker);
    }
    taken.len = taken.len < client->cut ? taken.len : client->cut;
    wire_take(&client->wire, taken, client->worker->turn);
}

/// Notes since when the peer has taken nothing.
static void watch_room(struct client *client)
{
    if (client->transport.awaits_room && (!client->was_blocked || client->has_moved)) {
        client->blocked_ms = worker_now_ms(client->worker);
    }
}

static void watch_stream(struct client *client)
{
    const struct world *world = client->world;
    uint64_t now_ms = worker_now_ms(client->worker);
    if (client->cut != SIZE_MAX) {
        return; // the client reads no further than `cut`
    }
    if (client->is_done) {
        end_stream(client);
        return;
    }
    const struct exchange *exchange = client->stream->exchange;
    if (exchange->is_aborted && !client->is_judged) {
        client->reason = exchange->end_reason;
        client->is_judged = true;
        judge_reason(client);
    }
    if (client->was_blocked || !client->transport.awaits_room) {
        judge_lag(client);
    }
    if (!is_served(client)) {
        uint64_t silent_ms = now_ms - client->blocked_ms;
        bool is_late =
            client->transport.awaits_room && silent_ms >= world->limits.conn.peer_timeout_ms;
        EXPECT(!is_late, "it takes nothing for %" PRIu64 " ms and is still connected", silent_ms);
        client->was_behind = true;
        return;
    }
    if (client->is_wide) {
        client->was_behind = true;
        return;
    }
    judge_complete(client);
    client->own_bytes = 0;
    client->was_behind = false;
    for (size_t i = 0; i < client->sub_count; i++) {
        struct sub *sub = &client->subs[i];
        sub->is_gone = sub->is_gone || (sub->end != UINT64_MAX && !client->is_ending);
    }
    EXPECT(client->is_ending || client->heartbeat_ms == 0 ||
               now_ms - client->heard_ms < client->heartbeat_ms,
           "no heartbeat for %" PRIu64 " ms", now_ms - client->heard_ms);
}

static void end_stream(struct client *client)
{
    if (!client->is_judged) {
        judge_reason(client);
    }
    if (client->reason == END_FINISHED) {
        judge_complete(client);
        EXPECT(client->is_chunked || client->transport.is_shut || client->transport.is_closing,
               "nothing says that the response ends");
        client->state = client->is_chunked ? CLIENT_IDLE : CLIENT_LEFT;
        return;
    }
    if (client->reason == END_FAILED) {
        judge_complete(client);
        EXPECT(!client->is_chunked || client->transport.is_shut || client->transport.is_closing,
               "nothing says that the response was cut");
        EXPECT(client->is_chunked || !client->transport.is_shut, "a cut response looks complete");
    }
    client->state = CLIENT_LEFT;
}

/// Whether the server can write to the client and still has a stream to write.
static bool is_served(const struct client *client)
{
    return client->stream != NULL && !client->stream->exchange->is_aborted &&
           !client->transport.awaits_room && !client->transport.is_closing;
}
