// SPDX-License-Identifier: MIT
#include "wire/sse_decode.h"

#include "base/check.h"

#include <string.h>

static struct bytes take_line(struct bytes *text);
static bool take_field(struct bytes line, struct bytes label, struct bytes *value);
static uint64_t read_number(struct bytes digits);

bool sse_take_event(struct bytes *text, struct sse_event *event)
{
    struct bytes value;
    *event = (struct sse_event){0};
    if (text->len == 0) {
        return false;
    }
    for (struct bytes line = take_line(text); line.len > 0; line = take_line(text)) {
        if (take_field(line, BYTES("id: "), &value)) {
            event->has_id = true;
            event->id = value;
        } else if (take_field(line, BYTES("event: "), &value)) {
            event->has_event = true;
            event->event = value;
        } else if (take_field(line, BYTES("retry: "), &value)) {
            event->has_retry = true;
            event->retry_ms = read_number(value);
        } else {
            bool is_data = take_field(line, BYTES("data: "), &value);
            DCHECK(is_data);
            const char *start = event->has_data ? event->data.at : value.at;
            event->has_data = is_data;
            event->data = bytes_of(start, (size_t)(value.at + value.len - start));
        }
    }
    return true;
}

/// Between two lines stand an LF and "data: ".
size_t sse_join_lines(struct bytes data, char *out)
{
    const struct bytes label = BYTES("data: ");
    size_t len = 0;
    while (data.len > 0) {
        const char *end = memchr(data.at, '\n', data.len);
        size_t line_len = end == NULL ? data.len : (size_t)(end - data.at) + 1;
        memcpy(out + len, data.at, line_len);
        len += line_len;
        data = bytes_skip(data, line_len);
        if (end != NULL) {
            DCHECK(bytes_starts_with(data, label));
            data = bytes_skip(data, label.len);
        }
    }
    return len;
}

/// Takes a line without its LF. Each line that the encoder writes has one.
static struct bytes take_line(struct bytes *text)
{
    const char *end = text->len == 0 ? NULL : memchr(text->at, '\n', text->len);
    DCHECK(end != NULL);
    size_t len = end == NULL ? text->len : (size_t)(end - text->at);
    struct bytes line = bytes_of(text->at, len);
    *text = bytes_skip(*text, end == NULL ? len : len + 1);
    return line;
}

static bool take_field(struct bytes line, struct bytes label, struct bytes *value)
{
    if (!bytes_starts_with(line, label)) {
        return false;
    }
    *value = bytes_skip(line, label.len);
    return true;
}

static uint64_t read_number(struct bytes digits)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digits.len; i++) {
        DCHECK(digits.at[i] >= '0' && digits.at[i] <= '9');
        number = number * 10 + (uint64_t)(digits.at[i] - '0');
    }
    return number;
}
