// SPDX-License-Identifier: MIT
//
// A scrape: `render` puts the text together on another thread (net/offload.h), because it may be
// megabytes; `on_rendered` sends the head on the worker's thread; `send_next` sends a piece
// whenever the output has room. The exchange may end at any point of this. The scrape is freed by
// whichever comes last: the end of the exchange, or the end of rendering.
#include "server/metrics.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/snapshot.h"
#include "http/exchange.h"
#include "net/loop.h"
#include "net/offload.h"
#include "script/generation.h"
#include "sse/notice.h"
#include "sse/stream.h"

enum { SCRAPES_MAX = 4, PIECE_BYTES = 64 * 1024 };

struct scrape {
    struct offload offload;
    struct metrics_scrapes *scrapes;
    struct exchange *exchange; // NULL once it has ended
    struct buf text;
    bool is_rendered;
};

static void refuse(struct exchange *exchange, uint16_t status, struct bytes field,
                   struct bytes value, struct bytes text);
static void refuse_without_memory(struct exchange *exchange);
static void render(struct offload *offload);
static void on_rendered(struct offload *offload);
static void send_next(struct scrape *scrape);
static void on_room(struct exchange *exchange);
static void on_peer_ended(struct exchange *exchange);
static void on_done(struct exchange *exchange, enum end_reason reason);
static void drop(struct scrape *scrape);
static const char *reason_text(int index);

static const struct exchange_events events = {
    .on_room = on_room, .on_peer_ended = on_peer_ended, .on_done = on_done};

void metrics_answer(struct metrics_scrapes *scrapes, struct exchange *exchange)
{
    bool is_asked = bytes_equal(exchange->request->method, BYTES("GET")) || exchange->is_head;
    if (!is_asked) {
        refuse(exchange, 405, BYTES("Allow"), BYTES("GET, HEAD"),
               BYTES("405: this path takes GET and HEAD\n"));
        return;
    }
    if (scrapes->count >= SCRAPES_MAX) {
        refuse(exchange, 503, BYTES("Retry-After"), BYTES("1"),
               BYTES("503: others are being told the metrics; try again later\n"));
        return;
    }
    DCHECK(scrapes->loop != NULL);
    struct scrape *scrape = mem_new(struct scrape);
    scrape->scrapes = scrapes;
    scrape->exchange = exchange;
    scrape->offload.run = render;
    scrape->offload.done = on_rendered;
    buf_init(&scrape->text, SIZE_MAX); // the number of series is bounded, and so is the text
    exchange->events = &events;
    exchange->holder = scrape;
    scrapes->count++;
    offload_start(&scrape->offload, scrapes->loop);
}

void metrics_set_names(void)
{
    snapshot_set_names(&(struct snapshot_names){
        .reason = reason_text,
        .outcome = notice_outcome_text,
        .versions = {LUNESSE_VERSION, LUA_RELEASE, loop_library_version()},
    });
}

static void refuse(struct exchange *exchange, uint16_t status, struct bytes field,
                   struct bytes value, struct bytes text)
{
    exchange->response.status = status;
    exchange->response.is_text = true;
    IGNORE(response_set_field(&exchange->response, field, value)); // no memory: without it
    IGNORE(exchange_send(exchange, text));                         // it is fresh
}

static void refuse_without_memory(struct exchange *exchange)
{
    refuse(exchange, 503, BYTES("Retry-After"), BYTES("1"),
           BYTES("503: there is no memory for the metrics; try again later\n"));
}

static void render(struct offload *offload)
{
    snapshot_render(&CONTAINER_OF(offload, struct scrape, offload)->text);
}

static void on_rendered(struct offload *offload)
{
    struct scrape *scrape = CONTAINER_OF(offload, struct scrape, offload);
    struct exchange *exchange = scrape->exchange;
    DCHECK(!scrape->is_rendered);
    scrape->is_rendered = true;
    if (exchange == NULL) {
        drop(scrape);
        return;
    }
    if (buf_is_empty(&scrape->text)) {
        refuse_without_memory(exchange);
        return;
    }
    struct response *response = &exchange->response;
    if (response_set_field(response, BYTES("Content-Type"),
                           BYTES("text/plain; version=0.0.4; charset=utf-8")) != 0 ||
        response_set_field(response, BYTES("Cache-Control"), BYTES("no-store")) != 0) {
        refuse_without_memory(exchange);
        return;
    }
    response->status = 200;
    if (exchange_begin(exchange) == 0) { // or it is aborted, and will end
        exchange_await_room(exchange);   // `on_room` sends the text, a piece at a time
    }
}

/// Sends one piece. All of the text at once would hold up the loop, and the queue of the connection
/// would hold megabytes.
static void send_next(struct scrape *scrape)
{
    struct exchange *exchange = scrape->exchange;
    DCHECK(scrape->is_rendered && exchange != NULL);
    struct bytes piece = buf_bytes(&scrape->text);
    uint64_t bytes_max = exchange_limits(exchange)->stream.max_bytes;
    piece.len = piece.len < PIECE_BYTES ? piece.len : PIECE_BYTES;
    piece.len = piece.len < bytes_max ? piece.len : bytes_max;
    if (piece.len == 0 || exchange_write(exchange, piece) != 0) {
        IGNORE(exchange_finish(exchange)); // or it has ended already: HEAD, or a peer that left
        return;
    }
    buf_consume(&scrape->text, piece.len);
    exchange_await_room(exchange);
}

static void on_room(struct exchange *exchange)
{
    send_next(exchange->holder);
}

/// The peer has closed its sending side and may still read.
static void on_peer_ended(struct exchange *exchange)
{
    (void)exchange;
}

static void on_done(struct exchange *exchange, enum end_reason reason)
{
    struct scrape *scrape = exchange->holder;
    (void)reason;
    DCHECK(scrape->exchange == exchange);
    exchange->events = NULL;
    exchange->holder = NULL;
    scrape->exchange = NULL;
    if (scrape->is_rendered) {
        drop(scrape);
    }
}

static void drop(struct scrape *scrape)
{
    DCHECK(scrape->is_rendered && scrape->exchange == NULL);
    DCHECK(scrape->scrapes->count > 0 && scrape->scrapes->count <= SCRAPES_MAX);
    scrape->scrapes->count--;
    buf_reset(&scrape->text);
    mem_free(scrape);
}

static const char *reason_text(int index)
{
    return end_reason_text((enum end_reason)index);
}
