// SPDX-License-Identifier: MIT
#include "http/response.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/mem.h"
#include "wire/headers.h"
#include "wire/status.h"

#include <stdio.h>

enum {
    FIELDS_BYTES_MAX = 64 * 1024,
    OWN_FIELDS_BYTES = 256, // more than the status line and the engine's own fields ever take
};

/// What an event stream has by itself, or cannot have.
static const struct bytes stream_fields[] = {
    {"Content-Type", 12},
    {"Cache-Control", 13},
    {"X-Accel-Buffering", 17},
    {"Content-Encoding", 16},
};

enum { STREAM_FIELD_COUNT = sizeof(stream_fields) / sizeof(stream_fields[0]) };

/// The fields, "Name: value\r\n" each. Those that belong to any answer stand at the front; when one
/// of them is removed, all of them as they were are set aside first.
struct response_fields {
    struct buf lines;
    size_t kept_len; // of them, when nothing is set aside
    struct buf kept; // what was set aside
};

static void set_kept_aside(struct response_fields *fields);
static void cut_to_kept(struct response_fields *fields);
static bool is_stream_type(struct bytes type);
static bool is_named(struct bytes name, const struct bytes *names, size_t count);
static void append_common(const struct response *response, struct bytes common, struct buf *out);
static int check_field(const struct response *response, struct bytes name, struct bytes value);
static int append_field(struct response *response, struct bytes name, struct bytes value);
static bool is_reserved(struct bytes name);
static bool next_line(struct bytes *rest, struct bytes *line);
static bool line_is_named(struct bytes line, struct bytes name);
static void append(struct buf *out, struct bytes bytes);
static void append_status_line(int status, struct buf *out);
static void append_stream_fields(const struct response *response, const struct response_head *head,
                                 struct buf *out);
static void append_own_fields(const struct response *response, struct buf *out);
static void append_default_type(const struct response *response, struct buf *out);
static void append_framing(const struct response *response, const struct response_head *head,
                           struct buf *out);

void response_init(struct response *response)
{
    *response = (struct response){.status = 200};
}

void response_deinit(struct response *response)
{
    if (response->_fields != NULL) {
        buf_reset(&response->_fields->lines);
        buf_reset(&response->_fields->kept);
        mem_free(response->_fields);
        response->_fields = NULL;
    }
}

int response_set_field(struct response *response, struct bytes name, struct bytes value)
{
    int refusal = check_field(response, name, value);
    if (refusal != 0) {
        return refusal;
    }
    response_remove_field(response, name);
    return append_field(response, name, value);
}

int response_add_field(struct response *response, struct bytes name, struct bytes value)
{
    int refusal = check_field(response, name, value);
    return refusal != 0 ? refusal : append_field(response, name, value);
}

bool response_field(const struct response *response, struct bytes name, struct bytes *value)
{
    struct bytes rest = response_fields(response);
    struct bytes line;
    while (next_line(&rest, &line)) {
        if (line_is_named(line, name)) {
            *value = bytes_skip(line, name.len + 2);
            value->len -= 2;
            return true;
        }
    }
    return false;
}

void response_remove_field(struct response *response, struct bytes name)
{
    struct bytes unused;
    if (!response_field(response, name, &unused)) {
        return;
    }
    struct buf others;
    buf_init(&others, FIELDS_BYTES_MAX);
    set_kept_aside(response->_fields);
    struct bytes rest = response_fields(response);
    struct bytes line;
    while (next_line(&rest, &line)) {
        if (!line_is_named(line, name)) {
            append(&others, line);
        }
    }
    buf_reset(&response->_fields->lines);
    buf_move(&response->_fields->lines, &others);
}

void response_keep_fields(struct response *response)
{
    response->is_marked = true;
    if (response->_fields != NULL) {
        response->_fields->kept_len = buf_len(&response->_fields->lines);
        buf_reset(&response->_fields->kept);
    }
}

void response_start_over(struct response *response)
{
    DCHECK(response->state == RESPONSE_FRESH);
    struct response_fields *fields = response->_fields;
    if (!response->is_marked) {
        response_keep_fields(response);
    } else if (fields != NULL) {
        cut_to_kept(fields);
    }
    *response = (struct response){.status = 500, .is_marked = true, ._fields = fields};
}

void response_forget_content(struct response *response)
{
    static const struct bytes names[] = {
        {"Content-Type", 12},        {"Content-Encoding", 16}, {"Content-Language", 16},
        {"Content-Disposition", 19}, {"Cache-Control", 13},    {"ETag", 4},
        {"Last-Modified", 13},       {"Expires", 7},
    };
    for (size_t i = 0; response->_fields != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        response_remove_field(response, names[i]);
    }
}

bool response_stream_conflict(const struct response *response, struct bytes *name)
{
    for (size_t i = 0; response->_fields != NULL && i < STREAM_FIELD_COUNT; i++) {
        struct bytes value;
        bool is_type = bytes_equal(stream_fields[i], BYTES("Content-Type"));
        if (response_field(response, stream_fields[i], &value) &&
            !(is_type && is_stream_type(value))) {
            *name = stream_fields[i];
            return true;
        }
    }
    return false;
}

bool response_may_be_common(struct bytes name)
{
    static const struct bytes own[] = {{"Content-Type", 12}, {"Content-Encoding", 16}};
    return !is_named(name, own, 2);
}

struct bytes response_fields(const struct response *response)
{
    return response->_fields == NULL ? BYTES("") : buf_bytes(&response->_fields->lines);
}

/// An event stream's own fields come first (WHATWG HTML, section 9.2.5; `no-transform` and
/// `X-Accel-Buffering` keep middle boxes from holding events back).
bool response_write_head(struct response *response, const struct response_head *head,
                         struct buf *out)
{
    size_t size = OWN_FIELDS_BYTES + response_fields(response).len + head->common.len;
    if (buf_reserve(out, size) == NULL) {
        return false;
    }
    if (response->is_stream) {
        response->status = 200;
    }
    append_status_line(response->status, out);
    if (response->is_stream) {
        append_stream_fields(response, head, out);
    } else if (head->is_close) {
        append(out, BYTES("Connection: close\r\n"));
    } else if (head->says_keep_alive) {
        append(out, BYTES("Connection: keep-alive\r\n"));
    }
    append(out, head->date_line);
    append_default_type(response, out);
    append_own_fields(response, out);
    append_common(response, head->common, out);
    append_framing(response, head, out);
    append(out, BYTES("\r\n"));
    return true;
}

static void set_kept_aside(struct response_fields *fields)
{
    if (fields->kept_len > 0) {
        append(&fields->kept, bytes_of(buf_start(&fields->lines), fields->kept_len));
        fields->kept_len = 0;
    }
}

static void cut_to_kept(struct response_fields *fields)
{
    set_kept_aside(fields);
    buf_reset(&fields->lines);
    buf_move(&fields->lines, &fields->kept);
    fields->kept_len = buf_len(&fields->lines);
}

/// "text/event-stream", and of parameters at most the charset that every event stream has.
static bool is_stream_type(struct bytes type)
{
    static const struct bytes types[] = {
        {"text/event-stream", 17},
        {"text/event-stream;charset=utf-8", 31},
        {"text/event-stream; charset=utf-8", 32},
    };
    return is_named(type, types, sizeof(types) / sizeof(types[0]));
}

static bool is_named(struct bytes name, const struct bytes *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

/// What every answer has, unless this one says it by itself.
static void append_common(const struct response *response, struct bytes common, struct buf *out)
{
    struct bytes line, unused;
    while (next_line(&common, &line)) {
        const char *colon = memchr(line.at, ':', line.len);
        struct bytes name = bytes_of(line.at, (size_t)(colon - line.at));
        bool is_own = response->is_stream && is_named(name, stream_fields, STREAM_FIELD_COUNT);
        if (!is_own && !response_field(response, name, &unused)) {
            append(out, line);
        }
    }
}

static int append_field(struct response *response, struct bytes name, struct bytes value)
{
    size_t size = name.len + value.len + 4;
    if (response->_fields == NULL) {
        response->_fields = mem_new(struct response_fields);
        buf_init(&response->_fields->lines, FIELDS_BYTES_MAX);
        buf_init(&response->_fields->kept, FIELDS_BYTES_MAX);
    }
    struct buf *lines = &response->_fields->lines;
    if (buf_reserve(lines, size) == NULL) {
        return RESPONSE_TOO_LARGE;
    }
    append(lines, name);
    append(lines, BYTES(": "));
    append(lines, value);
    append(lines, BYTES("\r\n"));
    return 0;
}

static int check_field(const struct response *response, struct bytes name, struct bytes value)
{
    if (response->state != RESPONSE_FRESH) {
        return RESPONSE_HEAD_SENT;
    }
    if (!headers_name_is_valid(name)) {
        return RESPONSE_BAD_NAME;
    }
    if (!headers_value_is_valid(value)) {
        return RESPONSE_BAD_VALUE;
    }
    return is_reserved(name) ? RESPONSE_RESERVED : 0;
}

/// Fields that describe the connection or the framing: they are right only when the engine says
/// them.
static bool is_reserved(struct bytes name)
{
    static const struct bytes names[] = {
        {"connection", 10}, {"content-length", 14},    {"date", 4},    {"keep-alive", 10},
        {"trailer", 7},     {"transfer-encoding", 17}, {"upgrade", 7},
    };
    return is_named(name, names, sizeof(names) / sizeof(names[0]));
}

static bool next_line(struct bytes *rest, struct bytes *line)
{
    if (rest->len == 0) {
        return false;
    }
    const char *end = memchr(rest->at, '\n', rest->len);
    *line = bytes_of(rest->at, (size_t)(end - rest->at) + 1);
    *rest = bytes_skip(*rest, line->len);
    return true;
}

static bool line_is_named(struct bytes line, struct bytes name)
{
    return line.len > name.len && line.at[name.len] == ':' &&
           bytes_equal_nocase(bytes_of(line.at, name.len), name);
}

/// Room was reserved, or `out` holds a part of what another buf of the same ceiling holds.
static void append(struct buf *out, struct bytes bytes)
{
    CHECK(buf_append(out, bytes));
}

static void append_status_line(int status, struct buf *out)
{
    if (status == 200) {
        append(out, BYTES("HTTP/1.1 200 OK\r\n"));
        return;
    }
    char text[16];
    int len = snprintf(text, sizeof(text), "HTTP/1.1 %03d ", status);
    append(out, bytes_of(text, (size_t)len));
    append(out, status_reason(status));
    append(out, BYTES("\r\n"));
}

static void append_stream_fields(const struct response *response, const struct response_head *head,
                                 struct buf *out)
{
#define STREAM_FIELDS(connection)                                                                  \
    "Cache-Control: no-cache, no-transform\r\n"                                                    \
    "Connection: " connection "\r\n"                                                               \
    "X-Accel-Buffering: no\r\n"
#define STREAM_TYPE "Content-Type: text/event-stream\r\n"
    struct bytes type;
    if (!response_field(response, BYTES("Content-Type"), &type)) {
        append(out, head->is_close ? BYTES(STREAM_TYPE STREAM_FIELDS("close"))
                                   : BYTES(STREAM_TYPE STREAM_FIELDS("keep-alive")));
        return;
    }
    append(out, BYTES("Content-Type: "));
    append(out, type);
    append(out, head->is_close ? BYTES("\r\n" STREAM_FIELDS("close"))
                               : BYTES("\r\n" STREAM_FIELDS("keep-alive")));
}

/// A stream's Content-Type stands among its first fields already.
static void append_own_fields(const struct response *response, struct buf *out)
{
    struct bytes rest = response_fields(response);
    struct bytes line;
    if (!response->is_stream) {
        append(out, rest);
        return;
    }
    while (next_line(&rest, &line)) {
        if (!line_is_named(line, BYTES("Content-Type"))) {
            append(out, line);
        }
    }
}

static void append_default_type(const struct response *response, struct buf *out)
{
    struct bytes type;
    if (response->is_text && !response_field(response, BYTES("Content-Type"), &type)) {
        append(out, BYTES("Content-Type: text/plain; charset=utf-8\r\n"));
    }
}

static void append_framing(const struct response *response, const struct response_head *head,
                           struct buf *out)
{
    char text[DECIMAL_LEN_MAX + 2];
    if (response->framing == FRAMING_CHUNKED) {
        append(out, BYTES("Transfer-Encoding: chunked\r\n"));
    } else if (response->framing == FRAMING_LENGTH) {
        append(out, BYTES("Content-Length: "));
        size_t len = decimal_write(head->content_length, text);
        text[len] = '\r';
        text[len + 1] = '\n';
        append(out, bytes_of(text, len + 2));
    }
}
