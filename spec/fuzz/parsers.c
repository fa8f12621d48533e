// SPDX-License-Identifier: MIT
#include "parsers.h"

#include "base/check.h"
#include "base/mem.h"

/// The buffers of the standard for the reader by lines.
struct line_reader {
    struct dispatches list;
    struct buf data, type, last_id;
};

enum byte_state { AT_LINE_START, IN_COMMENT, IN_NAME, BEHIND_COLON, IN_VALUE };

/// The reader by bytes.
struct byte_reader {
    struct dispatches list;
    enum byte_state state;
    bool is_behind_cr, has_data;
    struct buf name, value, data, type, last_id;
};

static void take_line(struct line_reader *reader, struct bytes line);
static void take_field(struct line_reader *reader, struct bytes name, struct bytes value);
static void take_empty_line(struct line_reader *reader);
static void take_byte(struct byte_reader *reader, char byte);
static void end_line(struct byte_reader *reader);
static void end_field(struct byte_reader *reader);
static void end_event(struct byte_reader *reader);
static void take_retry(struct dispatches *list, struct bytes digits);

struct dispatches parse_by_lines(struct bytes stream)
{
    struct line_reader reader = {.list = {.retry_ms = UINT64_MAX}};
    buf_init(&reader.data, SIZE_MAX);
    buf_init(&reader.type, SIZE_MAX);
    buf_init(&reader.last_id, SIZE_MAX);
    if (bytes_starts_with(stream, BYTES("\xef\xbb\xbf"))) {
        stream = bytes_skip(stream, 3);
    }
    size_t start = 0;
    for (size_t at = 0; at < stream.len; at++) {
        if (stream.at[at] != '\n' && stream.at[at] != '\r') {
            continue;
        }
        take_line(&reader, bytes_of(stream.at + start, at - start));
        if (stream.at[at] == '\r' && at + 1 < stream.len && stream.at[at + 1] == '\n') {
            at++;
        }
        start = at + 1;
    }
    buf_reset(&reader.data);
    buf_reset(&reader.type);
    buf_reset(&reader.last_id);
    return reader.list;
}

struct dispatches parse_by_bytes(struct bytes stream)
{
    struct byte_reader reader = {.list = {.retry_ms = UINT64_MAX}};
    struct buf *bufs[] = {&reader.name, &reader.value, &reader.data, &reader.type, &reader.last_id};
    for (size_t i = 0; i < 5; i++) {
        buf_init(bufs[i], SIZE_MAX);
    }
    bool has_mark = stream.len >= 3 && memcmp(stream.at, "\xef\xbb\xbf", 3) == 0;
    for (size_t at = has_mark ? 3 : 0; at < stream.len; at++) {
        take_byte(&reader, stream.at[at]);
    }
    for (size_t i = 0; i < 5; i++) {
        buf_reset(bufs[i]);
    }
    return reader.list;
}

struct dispatch *dispatches_add(struct dispatches *list)
{
    list->items = mem_resize(list->items, (list->count + 1) * sizeof(struct dispatch));
    struct dispatch *item = &list->items[list->count++];
    buf_init(&item->type, SIZE_MAX);
    buf_init(&item->data, SIZE_MAX);
    buf_init(&item->last_id, SIZE_MAX);
    item->retry_ms = list->retry_ms;
    return item;
}

void dispatches_free(struct dispatches *list)
{
    for (size_t i = 0; i < list->count; i++) {
        buf_reset(&list->items[i].type);
        buf_reset(&list->items[i].data);
        buf_reset(&list->items[i].last_id);
    }
    mem_free(list->items);
}

void parsers_put(struct buf *buf, struct bytes bytes)
{
    if (bytes.len > 0) {
        CHECK(buf_append(buf, bytes));
    }
}

static void take_line(struct line_reader *reader, struct bytes line)
{
    if (line.len == 0) {
        take_empty_line(reader);
        return;
    }
    const char *colon = memchr(line.at, ':', line.len);
    if (colon == line.at) {
        return;
    }
    if (colon == NULL) {
        take_field(reader, line, BYTES(""));
        return;
    }
    size_t len = (size_t)(colon - line.at);
    struct bytes value = bytes_skip(line, len + 1);
    if (value.len > 0 && value.at[0] == ' ') {
        value = bytes_skip(value, 1);
    }
    take_field(reader, bytes_of(line.at, len), value);
}

static void take_field(struct line_reader *reader, struct bytes name, struct bytes value)
{
    if (bytes_equal(name, BYTES("event"))) {
        buf_clear(&reader->type);
        parsers_put(&reader->type, value);
    } else if (bytes_equal(name, BYTES("data"))) {
        parsers_put(&reader->data, value);
        parsers_put(&reader->data, BYTES("\n"));
    } else if (bytes_equal(name, BYTES("id"))) {
        if (value.len == 0 || memchr(value.at, '\0', value.len) == NULL) {
            buf_clear(&reader->last_id);
            parsers_put(&reader->last_id, value);
        }
    } else if (bytes_equal(name, BYTES("retry"))) {
        take_retry(&reader->list, value);
    }
}

static void take_empty_line(struct line_reader *reader)
{
    struct bytes data = buf_bytes(&reader->data);
    if (data.len > 0) {
        struct dispatch *item = dispatches_add(&reader->list);
        parsers_put(&item->data, bytes_of(data.at, data.len - 1));
        struct bytes type = buf_bytes(&reader->type);
        parsers_put(&item->type, type.len == 0 ? BYTES("message") : type);
        parsers_put(&item->last_id, buf_bytes(&reader->last_id));
    }
    buf_clear(&reader->data);
    buf_clear(&reader->type);
}

static void take_byte(struct byte_reader *reader, char byte)
{
    bool is_crlf = reader->is_behind_cr && byte == '\n';
    reader->is_behind_cr = byte == '\r';
    if (is_crlf) {
        return;
    }
    if (byte == '\n' || byte == '\r') {
        end_line(reader);
        return;
    }
    switch (reader->state) {
    case AT_LINE_START:
    case IN_NAME:
        if (byte == ':') {
            reader->state = reader->state == AT_LINE_START ? IN_COMMENT : BEHIND_COLON;
            return;
        }
        reader->state = IN_NAME;
        parsers_put(&reader->name, bytes_of(&byte, 1));
        return;
    case IN_COMMENT:
        return;
    case BEHIND_COLON:
        reader->state = IN_VALUE;
        if (byte == ' ') {
            return;
        }
        parsers_put(&reader->value, bytes_of(&byte, 1));
        return;
    case IN_VALUE:
        parsers_put(&reader->value, bytes_of(&byte, 1));
        return;
    }
}

static void end_line(struct byte_reader *reader)
{
    if (reader->state == AT_LINE_START) {
        end_event(reader);
    } else if (reader->state != IN_COMMENT) {
        end_field(reader);
    }
    buf_clear(&reader->name);
    buf_clear(&reader->value);
    reader->state = AT_LINE_START;
}

static void end_field(struct byte_reader *reader)
{
    struct bytes name = buf_bytes(&reader->name);
    struct bytes value = buf_bytes(&reader->value);
    if (name.len == 4 && memcmp(name.at, "data", 4) == 0) {
        if (reader->has_data) {
            parsers_put(&reader->data, BYTES("\n"));
        }
        reader->has_data = true;
        parsers_put(&reader->data, value);
    } else if (name.len == 5 && memcmp(name.at, "event", 5) == 0) {
        buf_clear(&reader->type);
        parsers_put(&reader->type, value);
    } else if (name.len == 5 && memcmp(name.at, "retry", 5) == 0) {
        take_retry(&reader->list, value);
    } else if (name.len == 2 && memcmp(name.at, "id", 2) == 0) {
        for (size_t i = 0; i < value.len; i++) {
            if (value.at[i] == '\0') {
                return;
            }
        }
        buf_clear(&reader->last_id);
        parsers_put(&reader->last_id, value);
    }
}

static void end_event(struct byte_reader *reader)
{
    if (reader->has_data) {
        struct dispatch *item = dispatches_add(&reader->list);
        bool is_named = !buf_is_empty(&reader->type);
        parsers_put(&item->type, is_named ? buf_bytes(&reader->type) : BYTES("message"));
        parsers_put(&item->data, buf_bytes(&reader->data));
        parsers_put(&item->last_id, buf_bytes(&reader->last_id));
    }
    reader->has_data = false;
    buf_clear(&reader->data);
    buf_clear(&reader->type);
}

/// Reads digits, at least one. Numbers of more than 64 bits do not occur.
static void take_retry(struct dispatches *list, struct bytes digits)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9') {
            return;
        }
        number = number * 10 + (uint64_t)(digits.at[i] - '0');
    }
    if (digits.len > 0) {
        list->retry_ms = number;
    }
}
