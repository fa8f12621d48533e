// SPDX-License-Identifier: MIT
#include "bench/event_reader.h"

#include <assert.h>
#include <stddef.h>

static_assert(EVENT_KEPT_BYTES <= UINT8_MAX, "lengths are bytes");
static_assert(EVENT_KEPT_BYTES >= 32 +
                                      sizeof("\xEF\xBB\xBF"
                                             "data: ") -
                                      1,
              "32 bytes of a line's data are kept");

static const char *find_line_end(const char *at, const char *end);
static bool take_line(struct event_reader *reader, struct bytes line, struct bytes *data);
static bool is_data(struct bytes line, struct bytes *value);
static struct bytes without_mark(struct event_reader *reader, struct bytes line);
static struct bytes join(struct event_reader *reader, struct bytes rest);
static void keep_line(struct event_reader *reader, struct bytes text);
static void keep_data(struct event_reader *reader, struct bytes *data);

bool event_reader_next(struct event_reader *reader, struct bytes *text, struct bytes *data)
{
    const char *at = text->at;
    const char *end = at + text->len;
    if (reader->_is_after_cr && at < end) {
        reader->_is_after_cr = false;
        at += *at == '\n' ? 1 : 0;
    }
    DCHECK(reader->_data_len <= sizeof(reader->_data));
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

/// Reading lines that end with CR alone is slow: memchr looks for LF in the whole rest each time.
/// No server is known that sends them.
static const char *find_line_end(const char *at, const char *end)
{
    DCHECK(at < end);
    if (*at == '\n') {
        return at;
    }
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    const char *cr = memchr(at, '\r', (size_t)((lf == NULL ? end : lf) - at));
    return cr == NULL ? lf : cr;
}

/// Whether this line ends an event with data.
static bool take_line(struct event_reader *reader, struct bytes line, struct bytes *data)
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

static struct bytes without_mark(struct event_reader *reader, struct bytes line)
{
    reader->_is_begun = true;
    return bytes_starts_with(line, BYTES("\xEF\xBB\xBF")) ? bytes_skip(line, 3) : line;
}

/// Returns the line that begins with what was kept and ends with `rest`.
static struct bytes join(struct event_reader *reader, struct bytes rest)
{
    keep_line(reader, rest);
    struct bytes line = bytes_of(reader->_line, reader->_line_len);
    reader->_line_len = 0;
    return line;
}

static void keep_line(struct event_reader *reader, struct bytes text)
{
    DCHECK(reader->_line_len <= sizeof(reader->_line));
    size_t room = sizeof(reader->_line) - reader->_line_len;
    size_t len = text.len < room ? text.len : room;
    memcpy(reader->_line + reader->_line_len, text.at, len);
    reader->_line_len = (uint8_t)(reader->_line_len + len);
}

/// Puts the data of an unfinished event where it outlives the input.
static void keep_data(struct event_reader *reader, struct bytes *data)
{
    if (!reader->_has_data || data->at == reader->_data) {
        return;
    }
    size_t len = data->len < sizeof(reader->_data) ? data->len : sizeof(reader->_data);
    memcpy(reader->_data, data->at, len);
    reader->_data_len = (uint8_t)len;
    *data = bytes_of(reader->_data, len);
}
