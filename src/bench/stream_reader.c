// SPDX-License-Identifier: MIT
#include "bench/stream_reader.h"

#include <stddef.h>

/// Where in the framing the next byte stands.
///
///     SIZE --CR--> SIZE_LF --LF--> BODY --all read--> BODY_CR --> BODY_LF --> SIZE
///      |  ;          ^ CR   |
///      +--> EXTENSION+      +--size 0--> TRAILER <--LF--> TRAILER_LINE
///                                           |
///     a body that is not chunked:           +--CR--> LAST_LF --LF--> ENDED
///     BODY --all read--> ENDED
enum part {
    PART_SIZE,
    PART_EXTENSION,
    PART_SIZE_LF,
    PART_BODY,
    PART_BODY_CR,
    PART_BODY_LF,
    PART_TRAILER,
    PART_TRAILER_LINE,
    PART_LAST_LF,
    PART_ENDED,
};

enum { SIZE_BITS_MAX = 60 };

static bool take_framing(struct stream_reader *reader, struct bytes *input);
static bool take_size(struct stream_reader *reader, struct bytes *input);
static int hex_value(char byte);
static bool take_byte(struct stream_reader *reader, struct bytes *input, char byte, enum part next);
static bool skip_past(struct stream_reader *reader, struct bytes *input, char byte, enum part next);
static void begin_body(struct stream_reader *reader);
static bool take_lines(struct stream_reader *reader, struct bytes *text, struct bytes *data);
static const char *find_line_end(const char *at, const char *end);
static bool take_line(struct stream_reader *reader, struct bytes line, struct bytes *data);
static bool is_data(struct bytes line, struct bytes *value);
static struct bytes without_mark(struct stream_reader *reader, struct bytes line);
static struct bytes join(struct stream_reader *reader, struct bytes rest);
static void keep_line(struct stream_reader *reader, struct bytes text);
static void keep_data(struct stream_reader *reader, struct bytes *data);

void stream_reader_init(struct stream_reader *reader, enum stream_framing framing, uint64_t len)
{
    *reader = (struct stream_reader){._is_chunked = framing == STREAM_CHUNKED};
    if (framing == STREAM_CHUNKED) {
        reader->_part = PART_SIZE;
        return;
    }
    reader->_left = framing == STREAM_SIZED ? len : UINT64_MAX;
    reader->_part = reader->_left > 0 ? PART_BODY : PART_ENDED;
}

enum stream_news stream_reader_next(struct stream_reader *reader, struct bytes *input,
                                    struct bytes *data)
{
    while (input->len > 0 && reader->_part != PART_ENDED) {
        if (reader->_part != PART_BODY) {
            if (!take_framing(reader, input)) {
                return STREAM_BROKEN;
            }
            continue;
        }
        size_t len = reader->_left < input->len ? (size_t)reader->_left : input->len;
        struct bytes text = bytes_of(input->at, len);
        bool has_event = take_lines(reader, &text, data);
        *input = bytes_skip(*input, len - text.len);
        reader->_left -= len - text.len;
        if (reader->_left == 0) {
            reader->_part = reader->_is_chunked ? PART_BODY_CR : PART_ENDED;
        }
        if (has_event) {
            return STREAM_EVENT;
        }
    }
    return reader->_part == PART_ENDED ? STREAM_END : STREAM_MORE;
}

/// False when the framing is broken.
static bool take_framing(struct stream_reader *reader, struct bytes *input)
{
    switch ((enum part)reader->_part) {
    case PART_SIZE:
        return take_size(reader, input);
    case PART_EXTENSION:
        return skip_past(reader, input, '\r', PART_SIZE_LF);
    case PART_SIZE_LF:
        if (!take_byte(reader, input, '\n', PART_BODY)) {
            return false;
        }
        begin_body(reader);
        return true;
    case PART_BODY_CR:
        return take_byte(reader, input, '\r', PART_BODY_LF);
    case PART_BODY_LF:
        return take_byte(reader, input, '\n', PART_SIZE);
    case PART_TRAILER:
        reader->_part = PART_TRAILER_LINE;
        return input->at[0] != '\r' || take_byte(reader, input, '\r', PART_LAST_LF);
    case PART_TRAILER_LINE:
        return skip_past(reader, input, '\n', PART_TRAILER);
    case PART_LAST_LF:
        return take_byte(reader, input, '\n', PART_ENDED);
    case PART_BODY:
    case PART_ENDED:
        break;
    }
    UNREACHABLE();
}

static bool take_size(struct stream_reader *reader, struct bytes *input)
{
    const char *at = input->at;
    const char *end = at + input->len;
    uint64_t size = reader->_left;
    int value = -1;
    while (at < end && (value = hex_value(*at)) >= 0) {
        if (size >> SIZE_BITS_MAX != 0) {
            return false;
        }
        size = size << 4 | (unsigned)value;
        at++;
    }
    reader->_has_digit = reader->_has_digit || at > input->at;
    reader->_left = size;
    *input = bytes_of(at, (size_t)(end - at));
    if (at == end) {
        return true;
    }
    if (!reader->_has_digit) {
        return false;
    }
    if (input->len >= 2 && at[0] == '\r' && at[1] == '\n') { // the common case in one step
        *input = bytes_skip(*input, 2);
        begin_body(reader);
        return true;
    }
    if (*at == ';' || *at == ' ' || *at == '\t') {
        reader->_part = PART_EXTENSION;
        return true;
    }
    return take_byte(reader, input, '\r', PART_SIZE_LF);
}

static int hex_value(char byte)
{
    unsigned digit = (unsigned char)byte - (unsigned)'0';
    unsigned letter = ((unsigned char)byte | 0x20U) - (unsigned)'a';
    if (digit < 10) {
        return (int)digit;
    }
    return letter < 6 ? (int)letter + 10 : -1;
}

static bool take_byte(struct stream_reader *reader, struct bytes *input, char byte, enum part next)
{
    if (input->at[0] != byte) {
        return false;
    }
    *input = bytes_skip(*input, 1);
    reader->_part = (uint8_t)next;
    return true;
}

static bool skip_past(struct stream_reader *reader, struct bytes *input, char byte, enum part next)
{
    const char *at = memchr(input->at, byte, input->len);
    if (at == NULL) {
        *input = bytes_skip(*input, input->len);
        return true;
    }
    *input = bytes_skip(*input, (size_t)(at + 1 - input->at));
    reader->_part = (uint8_t)next;
    return true;
}

static void begin_body(struct stream_reader *reader)
{
    reader->_has_digit = false;
    reader->_part = reader->_left > 0 ? PART_BODY : PART_TRAILER;
}

/// Takes lines from `text` to its end, or to the end of an event: then true.
static bool take_lines(struct stream_reader *reader, struct bytes *text, struct bytes *data)
{
    const char *at = text->at;
    const char *end = at + text->len;
    if (reader->_is_after_cr) {
        reader->_is_after_cr = false;
        at += *at == '\n' ? 1 : 0;
    }
    *data = bytes_of(reader->_data, reader->_data_len);
    while (at < end) {
        const char *stop = find_line_end(at, end);
        if (stop == NULL) {
            keep_line(reader, bytes_of(at, (size_t)(end - at)));
            break;
        }
        struct bytes line = bytes_of(at, (size_t)(stop - at));
        at = stop + 1;
        if (*stop == '\r') {
            reader->_is_after_cr = at == end;
            at += at < end && *at == '\n' ? 1 : 0;
        }
        if (take_line(reader, line, data)) {
            *text = bytes_of(at, (size_t)(end - at));
            return true;
        }
    }
    *text = bytes_of(end, 0);
    keep_data(reader, data);
    return false;
}

/// A stream whose lines end with CR alone is read slowly, and nobody sends one.
static const char *find_line_end(const char *at, const char *end)
{
    if (*at == '\n') {
        return at;
    }
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    const char *cr = memchr(at, '\r', (size_t)((lf == NULL ? end : lf) - at));
    return cr == NULL ? lf : cr;
}

/// Whether this line ends an event with data.
static bool take_line(struct stream_reader *reader, struct bytes line, struct bytes *data)
{
    bool is_joined = reader->_line_len > 0;
    if (is_joined) {
        line = join(reader, line);
    }
    if (!reader->_is_begun) {
        line = without_mark(reader, line);
    }
    if (line.len == 0) {
        bool has_data = reader->_has_data;
        reader->_has_data = false;
        reader->_data_len = 0;
        return has_data;
    }
    if (!reader->_has_data && is_data(line, data)) {
        reader->_has_data = true;
        if (is_joined) {
            keep_data(reader, data); // the next line that is cut overwrites it
        }
    }
    return false;
}

static bool is_data(struct bytes line, struct bytes *value)
{
    if (!bytes_starts_with(line, BYTES("data"))) {
        return false;
    }
    *value = bytes_skip(line, 4);
    if (value->len == 0) {
        return true;
    }
    if (value->at[0] != ':') {
        return false;
    }
    *value = bytes_skip(*value, value->len > 1 && value->at[1] == ' ' ? 2 : 1);
    return true;
}

static struct bytes without_mark(struct stream_reader *reader, struct bytes line)
{
    reader->_is_begun = true;
    return bytes_starts_with(line, BYTES("\xEF\xBB\xBF")) ? bytes_skip(line, 3) : line;
}

/// The line of what was kept and `rest`.
static struct bytes join(struct stream_reader *reader, struct bytes rest)
{
    keep_line(reader, rest);
    struct bytes line = bytes_of(reader->_line, reader->_line_len);
    reader->_line_len = 0;
    return line;
}

static void keep_line(struct stream_reader *reader, struct bytes text)
{
    size_t room = sizeof(reader->_line) - reader->_line_len;
    size_t len = text.len < room ? text.len : room;
    memcpy(reader->_line + reader->_line_len, text.at, len);
    reader->_line_len = (uint8_t)(reader->_line_len + len);
}

/// Puts the data of an unfinished event where it outlives the input.
static void keep_data(struct stream_reader *reader, struct bytes *data)
{
    if (!reader->_has_data || data->at == reader->_data) {
        return;
    }
    size_t len = data->len < sizeof(reader->_data) ? data->len : sizeof(reader->_data);
    memcpy(reader->_data, data->at, len);
    reader->_data_len = (uint8_t)len;
    *data = bytes_of(reader->_data, len);
}
