// SPDX-License-Identifier: MIT
#include "wire.h"

#include "place.h"

#include "base/check.h"

#define SHOW(bytes) (int)((bytes).len > 200 ? 200 : (bytes).len), (bytes).at

static struct bytes take_framing(struct wire *wire, struct bytes bytes, uint64_t turn);
static void end_framing_line(struct wire *wire, struct bytes line, uint64_t turn);
static void read_head(struct wire *wire, struct bytes head);
static void expect_field(struct bytes head, const char *field);
static size_t read_size(struct bytes line);
static struct bytes take_text(struct wire *wire, struct bytes bytes, uint64_t turn);
static void end_line(struct wire *wire, struct bytes line);
static void read_field(struct wire *wire, struct bytes name, struct bytes value);
static void once(bool *has, struct buf *buf, struct bytes value);
static void end_event(struct wire *wire);
static void put(struct buf *buf, struct bytes bytes);

void wire_init(struct wire *wire, bool is_chunked, wire_fn on_event)
{
    *wire = (struct wire){.on_event = on_event, .is_chunked = is_chunked};
    struct buf *bufs[] = {&wire->line, &wire->id, &wire->type, &wire->data};
    for (size_t i = 0; i < 4; i++) {
        buf_init(bufs[i], SIZE_MAX);
    }
}

void wire_deinit(struct wire *wire)
{
    buf_reset(&wire->line);
    buf_reset(&wire->id);
    buf_reset(&wire->type);
    buf_reset(&wire->data);
}

void wire_take(struct wire *wire, struct bytes bytes, uint64_t turn)
{
    while (bytes.len > 0) {
        bytes = wire->state == WIRE_TEXT ? take_text(wire, bytes, turn)
                                         : take_framing(wire, bytes, turn);
    }
}

bool wire_is_between(const struct wire *wire)
{
    bool is_in_event = wire->has_id || wire->has_type || wire->has_data || wire->has_retry;
    bool is_at_start = wire->state == WIRE_SIZE || (wire->state == WIRE_TEXT && !wire->is_chunked);
    return is_at_start && !is_in_event && buf_is_empty(&wire->line);
}

/// All lines of the framing end with CRLF.
static struct bytes take_framing(struct wire *wire, struct bytes bytes, uint64_t turn)
{
    EXPECT(wire->state != WIRE_DONE, "bytes after the last chunk: %.*s", SHOW(bytes));
    const char *end = memchr(bytes.at, '\n', bytes.len);
    size_t len = end == NULL ? bytes.len : (size_t)(end - bytes.at) + 1;
    bool is_free = !wire->has_id && !wire->has_type && !wire->has_data;
    if (wire->state == WIRE_SIZE && buf_is_empty(&wire->line) && is_free) {
        wire->begun = turn;
    }
    put(&wire->line, bytes_of(bytes.at, len));
    struct bytes line = buf_bytes(&wire->line);
    if (end != NULL) {
        EXPECT(line.len > 1 && line.at[line.len - 2] == '\r', "a line of the framing without CR");
        end_framing_line(wire, line, turn);
    }
    EXPECT(wire->state == WIRE_HEAD || buf_len(&wire->line) < 32, "chunk framing: %.*s",
           SHOW(line));
    return bytes_skip(bytes, len);
}

static void end_framing_line(struct wire *wire, struct bytes line, uint64_t turn)
{
    switch (wire->state) {
    case WIRE_HEAD:
        if (line.len < 4 || memcmp(line.at + line.len - 4, "\r\n\r\n", 4) != 0) {
            return; // the whole head is gathered
        }
        read_head(wire, line);
        wire->state = wire->is_chunked ? WIRE_SIZE : WIRE_TEXT;
        wire->begun = turn;
        break;
    case WIRE_SIZE:
        wire->left = read_size(line);
        wire->state = wire->left == 0 ? WIRE_LAST : WIRE_TEXT;
        break;
    case WIRE_AFTER:
        EXPECT(line.len == 2, "a chunk is longer than its size");
        wire->state = WIRE_SIZE;
        break;
    case WIRE_LAST:
        EXPECT(line.len == 2, "trailers behind the last chunk: %.*s", SHOW(line));
        EXPECT(!wire->has_id && !wire->has_type && !wire->has_data, "an end within an event");
        wire->state = WIRE_DONE;
        break;
    case WIRE_TEXT:
    case WIRE_DONE:
        UNREACHABLE();
    }
    buf_clear(&wire->line);
}

static void read_head(struct wire *wire, struct bytes head)
{
    EXPECT(bytes_starts_with(head, BYTES("HTTP/1.1 200 OK\r\n")), "head: %.*s", SHOW(head));
    expect_field(head, "\r\nContent-Type: text/event-stream\r\n");
    expect_field(head, "\r\nCache-Control: no-cache, no-transform\r\n");
    bool is_said = memmem(head.at, head.len, "Transfer-Encoding: chunked", 26) != NULL;
    EXPECT(is_said == wire->is_chunked, "chunks where there should be none, or none");
}

static void expect_field(struct bytes head, const char *field)
{
    bool is_there = memmem(head.at, head.len, field, strlen(field)) != NULL;
    EXPECT(is_there, "no%s in the head: %.*s", field, SHOW(head));
}

static size_t read_size(struct bytes line)
{
    size_t size = 0;
    EXPECT(line.len > 2, "a chunk without a size");
    for (size_t i = 0; i < line.len - 2; i++) {
        const char *digit = memchr("0123456789abcdef", line.at[i], 16);
        EXPECT(digit != NULL, "chunk size: %.*s", SHOW(line));
        size = size * 16 + (size_t)(digit[0] <= '9' ? digit[0] - '0' : digit[0] - 'a' + 10);
    }
    return size;
}

/// One line of the stream, or the beginning of one.
static struct bytes take_text(struct wire *wire, struct bytes bytes, uint64_t turn)
{
    size_t most = wire->is_chunked && wire->left < bytes.len ? wire->left : bytes.len;
    const char *end = memchr(bytes.at, '\n', most);
    size_t len = end == NULL ? most : (size_t)(end - bytes.at) + 1;
    bool is_free = !wire->has_id && !wire->has_type && !wire->has_data;
    if (!wire->is_chunked && is_free && buf_is_empty(&wire->line)) {
        wire->begun = turn;
    }
    if (end != NULL && buf_is_empty(&wire->line)) {
        end_line(wire, bytes_of(bytes.at, len - 1));
    } else {
        put(&wire->line, bytes_of(bytes.at, len));
        if (end != NULL) {
            struct bytes line = buf_bytes(&wire->line);
            line.len--;
            end_line(wire, line);
            buf_clear(&wire->line);
        }
    }
    if (wire->is_chunked) {
        wire->left -= len;
        wire->state = wire->left == 0 ? WIRE_AFTER : WIRE_TEXT;
        EXPECT(wire->left > 0 || buf_is_empty(&wire->line), "a chunk ends within a line");
    }
    return bytes_skip(bytes, len);
}

static void end_line(struct wire *wire, struct bytes line)
{
    if (line.len == 0) {
        end_event(wire);
        return;
    }
    EXPECT(memchr(line.at, '\r', line.len) == NULL, "CR within the text: %.*s", SHOW(line));
    const char *colon = memchr(line.at, ':', line.len);
    EXPECT(colon != NULL, "a line that is no field: %.*s", SHOW(line));
    size_t len = (size_t)(colon - line.at);
    if (len == 0) {
        EXPECT(!wire->has_id && !wire->has_type && !wire->has_data, "a comment within an event");
        wire->comments++;
        wire->has_comment = true;
        return;
    }
    struct bytes value = bytes_skip(line, len + 1);
    value = value.len > 0 && value.at[0] == ' ' ? bytes_skip(value, 1) : value;
    read_field(wire, bytes_of(line.at, len), value);
}

static void read_field(struct wire *wire, struct bytes name, struct bytes value)
{
    if (bytes_equal(name, BYTES("data"))) {
        if (wire->has_data) {
            put(&wire->data, BYTES("\n"));
        }
        wire->has_data = true;
        put(&wire->data, value);
    } else if (bytes_equal(name, BYTES("event"))) {
        once(&wire->has_type, &wire->type, value);
    } else if (bytes_equal(name, BYTES("id"))) {
        once(&wire->has_id, &wire->id, value);
    } else if (bytes_equal(name, BYTES("retry"))) {
        EXPECT(!wire->has_retry, "retry stands twice in an event");
        wire->has_retry = true;
        for (size_t i = 0; i < value.len; i++) {
            EXPECT(value.at[i] >= '0' && value.at[i] <= '9', "retry: %.*s", SHOW(value));
        }
    } else {
        place_fail("a field of the name %.*s", SHOW(name));
    }
}

static void once(bool *has, struct buf *buf, struct bytes value)
{
    EXPECT(!*has, "a field stands twice in an event: %.*s", SHOW(value));
    *has = true;
    put(buf, value);
}

static void end_event(struct wire *wire)
{
    bool has_fields = wire->has_data || wire->has_id || wire->has_type || wire->has_retry;
    EXPECT(has_fields != wire->has_comment, "a comment with fields, or an empty line too many");
    bool has_any = wire->has_comment || wire->has_data || wire->has_id || wire->has_retry;
    EXPECT(has_any && (wire->has_data || !wire->has_type), "an event without data");
    if (wire->has_data || wire->has_id) {
        struct wire_event event = {
            .has_id = wire->has_id,
            .has_data = wire->has_data,
            .id = buf_bytes(&wire->id),
            .type = buf_bytes(&wire->type),
            .data = buf_bytes(&wire->data),
            .begun = wire->begun,
        };
        wire->on_event(wire, &event);
    }
    wire->has_id = wire->has_type = wire->has_data = false;
    wire->has_retry = wire->has_comment = false;
    buf_clear(&wire->id);
    buf_clear(&wire->type);
    buf_clear(&wire->data);
}

static void put(struct buf *buf, struct bytes bytes)
{
    if (bytes.len > 0) {
        CHECK(buf_append(buf, bytes));
    }
}
