// SPDX-License-Identifier: MIT
#include "loopback.h"

#include "base/mem.h"

#include <stdio.h>

static struct loopback *loopback_of(const struct transport *transport);
static void start(struct transport *transport);
static void stop(struct transport *transport);
static int write_out(struct transport *transport, struct buf *out);
static size_t pending_bytes(const struct transport *transport);
static void shut(struct transport *transport);
static void close_down(struct transport *transport, bool is_reset);
static bool peer_is_gone(const struct transport *transport);
static size_t peer_name(const struct transport *transport, char *out, size_t size);
static void on_job(struct loop_job *job);

static const struct transport_ops ops = {
    .start = start,
    .stop = stop,
    .write = write_out,
    .pending_bytes = pending_bytes,
    .unsent_bytes = pending_bytes,
    .shut = shut,
    .close = close_down,
    .peer_is_gone = peer_is_gone,
    .peer_name = peer_name,
};

void loopback_init(struct loopback *loopback, struct loop *loop, size_t room)
{
    *loopback = (struct loopback){.base.ops = &ops, .loop = loop, .room = room};
    loop_job_init(&loopback->job, on_job);
    buf_init(&loopback->taken, SIZE_MAX);
    buf_init(&loopback->waiting, SIZE_MAX);
}

void loopback_deinit(struct loopback *loopback)
{
    CHECK(loopback->is_gone);
    buf_reset(&loopback->taken);
    buf_reset(&loopback->waiting);
}

/// From memory of exactly that size, so that a sanitizer sees every overrun.
void loopback_send(struct loopback *loopback, struct bytes bytes)
{
    CHECK(loopback->is_reading && !loopback->has_ended && !loopback->is_closing);
    char *copy = mem_alloc(bytes.len);
    memcpy(copy, bytes.at, bytes.len);
    loopback->base.events->on_bytes(loopback->base.user, copy, bytes.len);
    mem_free(copy);
}

void loopback_end(struct loopback *loopback)
{
    if (!loopback->has_ended && !loopback->is_closing) {
        loopback->has_ended = true;
        loopback->base.events->on_end(loopback->base.user);
    }
}

void loopback_fail(struct loopback *loopback)
{
    if (!loopback->is_closing) {
        loopback->base.events->on_failed(loopback->base.user, UV_ECONNRESET);
    }
}

void loopback_take(struct loopback *loopback, size_t size)
{
    struct bytes bytes = buf_bytes(&loopback->waiting);
    bytes.len = size < bytes.len ? size : bytes.len;
    if (bytes.len == 0 || loopback->is_closing) {
        return;
    }
    CHECK(buf_append(&loopback->taken, bytes));
    buf_consume(&loopback->waiting, bytes.len);
    if (buf_is_empty(&loopback->waiting)) {
        loopback->base.events->on_drained(loopback->base.user);
    }
}

static struct loopback *loopback_of(const struct transport *transport)
{
    return CONTAINER_OF(transport, struct loopback, base);
}

static void start(struct transport *transport)
{
    CHECK(!loopback_of(transport)->is_closing);
    loopback_of(transport)->is_reading = true;
}

static void stop(struct transport *transport)
{
    loopback_of(transport)->is_reading = false;
}

static int write_out(struct transport *transport, struct buf *out)
{
    struct loopback *loopback = loopback_of(transport);
    CHECK(buf_is_empty(&loopback->waiting));
    CHECK(!loopback->is_closing && !loopback->is_shut);
    struct bytes bytes = buf_bytes(out);
    size_t size = loopback->room < bytes.len ? loopback->room : bytes.len;
    CHECK(buf_append(&loopback->taken, bytes_of(bytes.at, size)));
    CHECK(buf_append(&loopback->waiting, bytes_skip(bytes, size)));
    buf_reset(out);
    return buf_is_empty(&loopback->waiting) ? 0 : 1;
}

static size_t pending_bytes(const struct transport *transport)
{
    return buf_len(&loopback_of(transport)->waiting);
}

static void shut(struct transport *transport)
{
    struct loopback *loopback = loopback_of(transport);
    CHECK(!loopback->is_closing && buf_is_empty(&loopback->waiting));
    loopback->is_shut = true;
}

static void close_down(struct transport *transport, bool is_reset)
{
    struct loopback *loopback = loopback_of(transport);
    (void)is_reset;
    if (!loopback->is_closing) {
        loopback->is_closing = true;
        loop_at_turn_end(loopback->loop, LOOP_RUN, &loopback->job);
    }
}

static bool peer_is_gone(const struct transport *transport)
{
    return loopback_of(transport)->is_closing;
}

static size_t peer_name(const struct transport *transport, char *out, size_t size)
{
    (void)transport;
    return (size_t)snprintf(out, size, "loopback");
}

static void on_job(struct loop_job *job)
{
    struct loopback *loopback = CONTAINER_OF(job, struct loopback, job);
    loopback->is_gone = true;
    loopback->base.events->on_closed(loopback->base.user);
}
