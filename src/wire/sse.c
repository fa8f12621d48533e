// SPDX-License-Identifier: MIT
//
// An event is measured, then room for it is reserved, then it is written. The exact size is known
// before the first byte is written, so an event that does not fit leaves nothing behind, and the
// chunk size is written once, in its place. Nearly every text is one line of valid UTF-8: it is
// measured in one pass and then copied.
#include "wire/sse.h"

#include "base/decimal.h"
#include "base/utf8.h"
#include "wire/chunk.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/// A field as it will be written: `label`, then each line of `text`.
struct field {
    struct bytes label;
    struct bytes text;
    size_t size;   // of all its lines on the wire
    bool is_plain; // one line of valid UTF-8
};

/// Walks the lines of a text. CR, LF and CRLF end a line; a text that ends with one of them has an
/// empty last line.
struct lines {
    struct bytes rest;
    bool is_over;
};

static const char replacement[3] = {'\xef', '\xbf', '\xbd'};

static int encode(struct buf *out, const struct field *fields, size_t count, bool chunked);
static struct field measure(struct bytes label, struct bytes text);
static bool is_plain_text(struct bytes text);
static size_t line_len(struct bytes text, size_t at);
static bool next_line(struct lines *lines, struct bytes *line);
static size_t repaired_len(struct bytes line);
static char *put_field(char *at, const struct field *field);
static char *put_repaired(char *at, struct bytes line);
static char *put_bytes(char *at, struct bytes bytes);

bool sse_is_one_line(struct bytes text)
{
    return line_len(text, 0) == text.len &&
           (text.len == 0 || memchr(text.at, '\0', text.len) == NULL);
}

int sse_encode_event(struct buf *out, const struct sse_event *event, bool chunked)
{
    struct field fields[4];
    size_t count = 0;
    char digits[DECIMAL_LEN_MAX];
    if ((event->has_id && !sse_is_one_line(event->id)) ||
        (event->has_event && !sse_is_one_line(event->event))) {
        return -EINVAL;
    }
    if (event->has_id) {
        fields[count++] = measure(BYTES("id: "), event->id);
    }
    if (event->has_event) {
        fields[count++] = measure(BYTES("event: "), event->event);
    }
    if (event->has_retry) {
        struct bytes retry_ms = bytes_of(digits, decimal_write(event->retry_ms, digits));
        fields[count++] = measure(BYTES("retry: "), retry_ms);
    }
    if (event->has_data) {
        fields[count++] = measure(BYTES("data: "), event->data);
    }
    DCHECK(count <= sizeof(fields) / sizeof(fields[0]));
    return encode(out, fields, count, chunked);
}

/// The empty comment has its bytes ready: each stream begins with one, and each heartbeat is one.
int sse_encode_comment(struct buf *out, struct bytes text, bool chunked)
{
    static_assert(sizeof(":\n\n") - 1 == 3, "the size of its chunk");
    if (text.len == 0) {
        return buf_append(out, chunked ? BYTES("3\r\n:\n\n" CHUNK_END) : BYTES(":\n\n"))
                   ? 0
                   : -EMSGSIZE;
    }
    struct field field = measure(BYTES(": "), text);
    return encode(out, &field, 1, chunked);
}

int sse_encode_retry(struct buf *out, uint64_t retry_ms, bool chunked)
{
    struct sse_event event = {.has_retry = true, .retry_ms = retry_ms};
    return sse_encode_event(out, &event, chunked);
}

/// Writes the fields and the empty line as one text. A comment ends with an empty line too: readers
/// that split the stream there, as many tutorials show, would otherwise take the comment for the
/// beginning of the event behind it, and lose both.
static int encode(struct buf *out, const struct field *fields, size_t count, bool chunked)
{
    size_t size = 1; // the empty line
    for (size_t i = 0; i < count; i++) {
        size += fields[i].size;
    }
    size_t total = chunked ? chunk_size_len(size) + size + CHUNK_END_LEN : size;
    char *start = buf_reserve(out, total);
    if (start == NULL) {
        return -EMSGSIZE;
    }
    char *at = chunked ? chunk_put_size(start, size) : start;
    for (size_t i = 0; i < count; i++) {
        const char *end = at + fields[i].size;
        at = put_field(at, &fields[i]);
        DCHECK(at == end);
    }
    *at++ = '\n';
    if (chunked) {
        at = put_bytes(at, BYTES(CHUNK_END));
    }
    DCHECK((size_t)(at - start) == total);
    buf_commit(out, total);
    return 0;
}

static struct field measure(struct bytes label, struct bytes text)
{
    struct field field = {.label = label, .text = text, .is_plain = is_plain_text(text)};
    if (field.is_plain) {
        field.size = label.len + text.len + 1;
        return field;
    }
    struct lines lines = {.rest = text};
    struct bytes line;
    while (next_line(&lines, &line)) {
        field.size += label.len + repaired_len(line) + 1;
    }
    DCHECK(field.size > label.len);
    return field;
}

static bool is_plain_text(struct bytes text)
{
    size_t break_at = line_len(text, 0);
    return break_at == text.len && utf8_valid_prefix(text) == text.len;
}

/// Where the line that holds `at` ends: at a CR or an LF, or at the end of `text`. Words without a
/// byte below 0x0e, which is all of CR, LF and some rare others, are skipped whole.
static size_t line_len(struct bytes text, size_t at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    while (at < text.len) {
        uint64_t word = 0;
        size_t stop = text.len;
        if (text.len - at >= sizeof(word)) {
            memcpy(&word, text.at + at, sizeof(word));
            stop = at + sizeof(word);
            if (((word - ones * 0x0e) & ~word & ones * 0x80) == 0) {
                at = stop;
                continue;
            }
        }
        while (at < stop && text.at[at] != '\r' && text.at[at] != '\n') {
            at++;
        }
        if (at < stop) {
            break;
        }
    }
    return at;
}

static bool next_line(struct lines *lines, struct bytes *line)
{
    if (lines->is_over) {
        return false;
    }
    struct bytes rest = lines->rest;
    size_t len = line_len(rest, 0);
    *line = bytes_of(rest.at, len);
    lines->is_over = len == rest.len;
    if (!lines->is_over) {
        DCHECK(rest.at[len] == '\r' || rest.at[len] == '\n');
        bool is_crlf = rest.len - len >= 2 && rest.at[len] == '\r' && rest.at[len + 1] == '\n';
        lines->rest = bytes_skip(rest, len + (is_crlf ? 2 : 1));
    }
    return true;
}

static size_t repaired_len(struct bytes line)
{
    size_t len = 0;
    for (;;) {
        size_t valid = utf8_valid_prefix(line);
        len += valid;
        if (valid == line.len) {
            return len;
        }
        len += sizeof(replacement);
        line = bytes_skip(line, valid);
        line = bytes_skip(line, utf8_invalid_len(line));
    }
}

static char *put_field(char *at, const struct field *field)
{
    if (field->is_plain) {
        at = put_bytes(at, field->label);
        at = put_bytes(at, field->text);
        *at = '\n';
        return at + 1;
    }
    struct lines lines = {.rest = field->text};
    struct bytes line;
    while (next_line(&lines, &line)) {
        at = put_bytes(at, field->label);
        at = put_repaired(at, line);
        *at++ = '\n';
    }
    return at;
}

static char *put_repaired(char *at, struct bytes line)
{
    for (;;) {
        size_t valid = utf8_valid_prefix(line);
        at = put_bytes(at, bytes_of(line.at, valid));
        if (valid == line.len) {
            return at;
        }
        at = put_bytes(at, bytes_of(replacement, sizeof(replacement)));
        line = bytes_skip(line, valid);
        line = bytes_skip(line, utf8_invalid_len(line));
    }
}

static char *put_bytes(char *at, struct bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.at, bytes.len);
    }
    return at + bytes.len;
}
