// SPDX-License-Identifier: MIT
#include "bench/message.h"

#include "bench/options.h"
#include "client/target.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { PIECE_MAX = 16 * 1024 };

static_assert(OPTIONS_HEADER_BYTES + 2 < PIECE_MAX, "a field is put in one piece");
static_assert(TARGET_PATH_MAX + TARGET_AUTHORITY_MAX + 256 < PIECE_MAX, "so is the rest");

static void put(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put_fields(struct buf *out, const struct options *options);

void message_put_get(struct buf *out, const struct client_target *target,
                     const struct options *options)
{
    put(out, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n", target->path,
        target->authority);
    put_fields(out, options);
}

void message_put_post(struct buf *out, const struct client_target *target,
                      const struct options *options, uint64_t size)
{
    put(out,
        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\n"
        "Content-Length: %" PRIu64 "\r\n",
        target->path, target->authority, size);
    put_fields(out, options);
}

static void put(struct buf *out, const char *format, ...)
{
    va_list arguments;
    char *room = buf_reserve(out, PIECE_MAX);
    CHECK(room != NULL);
    va_start(arguments, format);
    int len = vsnprintf(room, PIECE_MAX, format, arguments);
    va_end(arguments);
    CHECK(len >= 0 && len < PIECE_MAX); // options.c bounds what goes in here
    buf_commit(out, (size_t)len);
}

static void put_fields(struct buf *out, const struct options *options)
{
    for (size_t i = 0; i < options->requests.header_count; i++) {
        put(out, "%s\r\n", options->requests.headers[i]);
    }
    put(out, "\r\n");
}
