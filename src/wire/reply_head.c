// SPDX-License-Identifier: MIT
#include "wire/reply_head.h"

#include "base/error.h"
#include "wire/headers.h"

#include <assert.h>

enum { STATUS_LINE_MIN = 12, STATUS_SWITCHING = 101 };

static_assert(STATUS_LINE_MIN == sizeof("HTTP/1.1 200") - 1, "a version, a space, three digits");

static bool parse_status(struct bytes line, struct reply_head *head);
static bool parse_field(struct bytes line, struct reply_head *head);
static struct bytes media_type(struct bytes value);
static struct bytes take_line(struct bytes *text);

ssize_t reply_head_parse(struct bytes text, struct reply_head *head)
{
    struct bytes rest = text;
    do {
        const char *end = memmem(rest.at, rest.len, "\r\n\r\n", 4);
        if (end == NULL) {
            return 0;
        }
        struct bytes lines = bytes_of(rest.at, (size_t)(end + 2 - rest.at));
        rest = bytes_skip(rest, lines.len + 2);
        *head = (struct reply_head){.framing = BODY_TO_END};
        if (!parse_status(take_line(&lines), head)) {
            return CLIENT_BAD_HEAD;
        }
        while (lines.len > 0) {
            if (!parse_field(take_line(&lines), head)) {
                return CLIENT_BAD_HEAD;
            }
        }
    } while (head->status < 200 && head->status != STATUS_SWITCHING);
    if (head->status == 204 || head->status == 304) {
        head->framing = BODY_SIZED;
        head->length = 0;
    }
    DCHECK(head->status >= 100 && head->status <= 999);
    head->is_last = head->is_last || head->framing == BODY_TO_END;
    return (ssize_t)(text.len - rest.len);
}

static bool parse_status(struct bytes line, struct reply_head *head)
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

/// Notes what the field says. A transfer coding takes the place of a length (RFC 9112,
/// section 6.3).
static bool parse_field(struct bytes line, struct reply_head *head)
{
    const char *colon = memchr(line.at, ':', line.len);
    if (colon == NULL) {
        return false;
    }
    struct bytes name = bytes_of(line.at, (size_t)(colon - line.at));
    struct bytes value = bytes_trim(bytes_skip(line, name.len + 1));
    if (bytes_equal_nocase(name, BYTES("transfer-encoding"))) {
        head->framing = headers_list_has(value, BYTES("chunked")) ? BODY_CHUNKED : BODY_TO_END;
    } else if (bytes_equal_nocase(name, BYTES("content-length"))) {
        head->framing = head->framing == BODY_CHUNKED ? BODY_CHUNKED : BODY_SIZED;
        return headers_content_length(value, &head->length);
    } else if (bytes_equal_nocase(name, BYTES("content-type"))) {
        head->is_event_stream = bytes_equal_nocase(media_type(value), BYTES("text/event-stream"));
    } else if (bytes_equal_nocase(name, BYTES("connection"))) {
        head->is_last = head->is_last ? !headers_list_has(value, BYTES("keep-alive"))
                                      : headers_list_has(value, BYTES("close"));
    }
    return true;
}

/// The value of Content-Type without its parameters.
static struct bytes media_type(struct bytes value)
{
    return bytes_trim(bytes_of(value.at, headers_index_unquoted(value, ';')));
}

/// Takes a line; every line of `text` ends with CRLF.
static struct bytes take_line(struct bytes *text)
{
    const char *end = memmem(text->at, text->len, "\r\n", 2);
    DCHECK(end != NULL);
    struct bytes line = bytes_of(text->at, (size_t)(end - text->at));
    *text = bytes_skip(*text, line.len + 2);
    return line;
}
