// SPDX-License-Identifier: MIT
//
// A head is written in one go: room for all of it is reserved in the output, and then the status
// line, the fields, the framing and the empty line are copied
// there, one behind the other.
#include "http/http1_head.h"

#include "base/decimal.h"
#include "http/fields.h"
#include "wire/chunk.h"
#include "wire/status.h"

#include <assert.h>

enum {
    STATUS_LINE_BYTES = 96, // more than any status line takes
    FRAMING_BYTES = 64,     // more than the framing and the empty line take
};

/// ": " and the line's end take what `response_fields_size` counts beside name and value.
static_assert(FIELD_OVERHEAD == 4, "a line of a head takes more than was reserved for it");

static char *put_status_line(char *at, int status);
static void put_field(void *user, struct bytes name, struct bytes value);
static char *put_framing(char *at, const struct response *response, const struct http1_head *head);
static char *put(char *at, struct bytes bytes);

bool http1_write_head(const struct response *response, const struct http1_head *head,
                      struct buf *out)
{
    size_t room =
        STATUS_LINE_BYTES + FRAMING_BYTES + response_fields_size(response, &head->surroundings);
    char *start = buf_reserve(out, room);
    if (start == NULL) {
        return false;
    }
    char *at = put_status_line(start, response->status);
    response_put_fields(response, &head->surroundings, put_field, &at);
    at = put_framing(at, response, head);
    at = put(at, BYTES("\r\n"));
    DCHECK((size_t)(at - start) <= room);
    buf_commit(out, (size_t)(at - start));
    return true;
}

bool http1_write_chunk(struct bytes content, struct buf *out)
{
    DCHECK(content.len > 0);
    char *start = buf_reserve(out, CHUNK_SIZE_LEN_MAX + content.len + CHUNK_END_LEN);
    if (start == NULL) {
        return false;
    }
    char *at = put(chunk_put_size(start, content.len), content);
    at = put(at, BYTES(CHUNK_END));
    buf_commit(out, (size_t)(at - start));
    return true;
}

bool http1_write_last_chunk(struct buf *out)
{
    return buf_append(out, BYTES(CHUNK_LAST));
}

static char *put_status_line(char *at, int status)
{
    if (status == 200) {
        return put(at, BYTES("HTTP/1.1 200 OK\r\n"));
    }
    DCHECK(status >= 100 && status <= 999);
    at = put(at, BYTES("HTTP/1.1 "));
    at += decimal_write((uint64_t)status, at);
    *at++ = ' ';
    struct bytes reason = status_reason(status);
    DCHECK(reason.len < STATUS_LINE_BYTES - sizeof("HTTP/1.1 200 \r\n"));
    return put(put(at, reason), BYTES("\r\n"));
}

static void put_field(void *user, struct bytes name, struct bytes value)
{
    char **at = user;
    char *end = put(*at, name);
    end = put(end, BYTES(": "));
    end = put(end, value);
    *at = put(end, BYTES("\r\n"));
}

static char *put_framing(char *at, const struct response *response, const struct http1_head *head)
{
    if (response->framing == FRAMING_CHUNKED) {
        return put(at, BYTES("Transfer-Encoding: chunked\r\n"));
    }
    if (response->framing != FRAMING_LENGTH) {
        return at;
    }
    at = put(at, BYTES("Content-Length: "));
    at += decimal_write(head->content_length, at);
    return put(at, BYTES("\r\n"));
}

static char *put(char *at, struct bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.at, bytes.len);
    }
    return at + bytes.len;
}
