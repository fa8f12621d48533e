// SPDX-License-Identifier: MIT
#include "bench/message.h"

#include "bench/options.h"
#include "bench/target.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { STATUS_LINE_MIN = 12, STATUS_SWITCHING = 101, DIGITS_MAX = 18 };

static void put(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put_fields(struct buf *out, const struct options *options);
static bool parse_status(struct bytes line, struct response_head *head);
static bool parse_field(struct bytes line, struct response_head *head);
static bool parse_length(struct bytes value, struct response_head *head);
static bool has_word(struct bytes value, struct bytes word);
static struct bytes take_line(struct bytes *text);

void message_put_get(struct buf *out, const struct bench_target *target,
                     const struct options *options)
{
    put(out, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n", target->path,
        target->authority);
    put_fields(out, options);
}

void message_put_post(struct buf *out, const struct bench_target *target,
                      const struct options *options, uint64_t size)
{
    put(out,
        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\n"
        "Content-Length: %" PRIu64 "\r\n",
        target->path, target->authority, size);
    put_fields(out, options);
}

ssize_t message_parse_head(struct bytes text, struct response_head *head)
{
    struct bytes rest = text;
    do {
        const char *end = memmem(rest.at, rest.len, "\r\n\r\n", 4);
        if (end == NULL) {
            return 0;
        }
        struct bytes lines = bytes_of(rest.at, (size_t)(end + 2 - rest.at));
        rest = bytes_skip(rest, lines.len + 2);
        *head = (struct response_head){.framing = STREAM_TO_END};
        if (!parse_status(take_line(&lines), head)) {
            return -1;
        }
        while (lines.len > 0) {
            if (!parse_field(take_line(&lines), head)) {
                return -1;
            }
        }
    } while (head->status < 200 && head->status != STATUS_SWITCHING);
    if (head->status == 204 || head->status == 304) {
        head->framing = STREAM_SIZED;
        head->length = 0;
    }
    head->is_last = head->is_last || head->framing == STREAM_TO_END;
    return (ssize_t)(text.len - rest.len);
}

static void put(struct buf *out, const char *format, ...)
{
    va_list arguments;
    char *room = buf_reserve(out, MESSAGE_HEAD_MAX);
    CHECK(room != NULL);
    va_start(arguments, format);
    int len = vsnprintf(room, MESSAGE_HEAD_MAX, format, arguments);
    va_end(arguments);
    CHECK(len >= 0 && len < MESSAGE_HEAD_MAX); // options.c bounds what goes in here
    buf_commit(out, (size_t)len);
}

static void put_fields(struct buf *out, const struct options *options)
{
    for (size_t i = 0; i < options->header_count; i++) {
        put(out, "%s\r\n", options->headers[i]);
    }
    put(out, "\r\n");
}

static bool parse_status(struct bytes line, struct response_head *head)
{
    if (line.len < STATUS_LINE_MIN || !bytes_starts_with(line, BYTES("HTTP/1.")) ||
        line.at[8] != ' ') {
        return false;
    }
    for (size_t i = 9; i < STATUS_LINE_MIN; i++) {
        if (line.at[i] < '0' || line.at[i] > '9') {
            return false;
        }
        head->status = head->status * 10 + (line.at[i] - '0');
    }
    head->is_last = line.at[7] == '0';
    return head->status >= 100;
}

/// A transfer coding takes the place of a length (RFC 9112, section 6.3).
static bool parse_field(struct bytes line, struct response_head *head)
{
    const char *colon = memchr(line.at, ':', line.len);
    if (colon == NULL) {
        return false;
    }
    struct bytes name = bytes_of(line.at, (size_t)(colon - line.at));
    struct bytes value = bytes_trim(bytes_skip(line, name.len + 1));
    if (bytes_equal_nocase(name, BYTES("transfer-encoding"))) {
        head->framing = has_word(value, BYTES("chunked")) ? STREAM_CHUNKED : STREAM_TO_END;
    } else if (bytes_equal_nocase(name, BYTES("content-length"))) {
        return parse_length(value, head);
    } else if (bytes_equal_nocase(name, BYTES("content-type"))) {
        head->is_event_stream = has_word(value, BYTES("text/event-stream"));
    } else if (bytes_equal_nocase(name, BYTES("connection"))) {
        head->is_last =
            head->is_last ? !has_word(value, BYTES("keep-alive")) : has_word(value, BYTES("close"));
    }
    return true;
}

static bool parse_length(struct bytes value, struct response_head *head)
{
    if (value.len == 0 || value.len > DIGITS_MAX) {
        return false;
    }
    head->length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9') {
            return false;
        }
        head->length = head->length * 10 + (uint64_t)(value.at[i] - '0');
    }
    if (head->framing != STREAM_CHUNKED) {
        head->framing = STREAM_SIZED;
    }
    return true;
}

/// Whether `word` stands at the front of a member of the list `value`, in any case.
static bool has_word(struct bytes value, struct bytes word)
{
    while (value.len > 0) {
        const char *comma = memchr(value.at, ',', value.len);
        size_t len = comma == NULL ? value.len : (size_t)(comma - value.at);
        struct bytes member = bytes_trim(bytes_of(value.at, len));
        if (member.len >= word.len && strncasecmp(member.at, word.at, word.len) == 0) {
            return true;
        }
        value = bytes_skip(value, comma == NULL ? len : len + 1);
    }
    return false;
}

/// Takes a line; every line of `text` ends with CRLF.
static struct bytes take_line(struct bytes *text)
{
    const char *end = memmem(text->at, text->len, "\r\n", 2);
    struct bytes line = bytes_of(text->at, (size_t)(end - text->at));
    *text = bytes_skip(*text, line.len + 2);
    return line;
}
