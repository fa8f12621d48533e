// SPDX-License-Identifier: MIT
#include "net/loopback.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>

static struct loopback *loopback_of(const struct transport *transport);
static void start(struct transport *transport);
static void stop(struct transport *transport);
static ssize_t write_out(struct transport *transport, const struct bytes *pieces, int count);
static void await_room(struct transport *transport);
static size_t unsent_bytes(const struct transport *transport);
static void shut(struct transport *transport);
static void close_down(struct transport *transport, bool is_reset);
static void on_job(struct loop_job *job);

static const struct transport_ops ops = {
    .start = start,
    .stop = stop,
    .write = write_out,
    .await_room = await_room,
    .unsent_bytes = unsent_bytes,
    .shut = shut,
    .close = close_down,
};

void loopback_init(struct loopback *loopback, struct loop *loop, size_t room)
{
    *loopback = (struct loopback){.base.ops = &ops, .loop = loop, .room = room};
    loop_job_init(&loopback->job, on_job);
    buf_init(&loopback->taken, SIZE_MAX);
}

void loopback_deinit(struct loopback *loopback)
{
    CHECK(loopback->is_gone);
    buf_reset(&loopback->taken);
}

/// Gives the bytes from memory of exactly their size, so that a sanitizer sees every overrun.
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
        loopback->base.events->on_failed(loopback->base.user, -ECONNRESET);
    }
}

void loopback_make_room(struct loopback *loopback, size_t size)
{
    loopback->room = size;
    if (loopback->awaits_room && !loopback->is_closing) {
        loopback->awaits_room = false;
        loopback->base.events->on_room(loopback->base.user);
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

static ssize_t write_out(struct transport *transport, const struct bytes *pieces, int count)
{
    struct loopback *loopback = loopback_of(transport);
    CHECK(!loopback->awaits_room && !loopback->is_closing && !loopback->is_shut);
    if (loopback->is_lost) {
        return -EPIPE;
    }
    size_t taken = 0;
    for (int i = 0; i < count && taken < loopback->room; i++) {
        size_t room = loopback->room - taken;
        size_t size = pieces[i].len < room ? pieces[i].len : room;
        CHECK(buf_append(&loopback->taken, bytes_of(pieces[i].at, size)));
        taken += size;
    }
    loopback->room -= loopback->room == SIZE_MAX ? 0 : taken;
    return (ssize_t)taken;
}

static void await_room(struct transport *transport)
{
    loopback_of(transport)->awaits_room = true;
}

static size_t unsent_bytes(const struct transport *transport)
{
    (void)transport;
    return 0;
}

static void shut(struct transport *transport)
{
    struct loopback *loopback = loopback_of(transport);
    CHECK(!loopback->is_closing && !loopback->awaits_room);
    loopback->is_shut = true;
}

static void close_down(struct transport *transport, bool is_reset)
{
    struct loopback *loopback = loopback_of(transport);
    if (!loopback->is_closing) {
        loopback->is_closing = true;
        loopback->is_reset = is_reset;
        loop_at_turn_end(loopback->loop, LOOP_RUN, &loopback->job);
    }
}

static void on_job(struct loop_job *job)
{
    struct loopback *loopback = CONTAINER_OF(job, struct loopback, job);
    loopback->is_gone = true;
    loopback->base.events->on_closed(loopback->base.user);
}
