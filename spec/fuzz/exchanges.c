// SPDX-License-Identifier: MIT
#include "exchanges.h"

#include "messages.h"

#include "base/check.h"

static bool next_line(struct bytes *rest, struct bytes *line);
static size_t find_field(struct bytes head, const char *name, struct bytes *value);
static bool parse_number(struct bytes text, uint64_t *number);
static bool last_word_is(struct bytes list, const char *word);
static bool read_request_body(struct bytes head, struct bytes rest, struct plain_request *request);
static void check_fields(struct bytes fields);
static void put_head(struct bytes head, struct buf *out);
static void read_response_body(struct bytes head, bool is_unknown, struct plain_response *response);

bool plain_request(struct bytes text, struct plain_request *request)
{
    size_t len = messages_head_len(text);
    struct bytes head = bytes_of(text.at, len);
    *request = (struct plain_request){.rest = bytes_skip(text, len)};
    if (len == 0) {
        return false;
    }
    while (bytes_starts_with(head, BYTES("\r\n"))) {
        head = bytes_skip(head, 2);
    }
    const char *method_end = memchr(head.at, ' ', head.len);
    request->method = bytes_of(head.at, (size_t)(method_end - head.at));
    struct bytes after = bytes_skip(head, request->method.len + 1);
    const char *target_end = memchr(after.at, ' ', after.len);
    request->target = bytes_of(after.at, (size_t)(target_end - after.at));
    request->is_1_0 = target_end[8] == '0'; // " HTTP/1.x"
    return read_request_body(head, request->rest, request);
}

/// RFC 9112, section 6.3. A message with two lengths has no valid one.
static bool read_request_body(struct bytes head, struct bytes rest, struct plain_request *request)
{
    struct bytes length;
    struct bytes coding;
    uint64_t number = 0;
    size_t length_count = find_field(head, "content-length", &length);
    size_t coding_count = find_field(head, "transfer-encoding", &coding);
    if (length_count + coding_count == 0) {
        return true;
    }
    if (coding_count == 0) {
        request->body_len =
            parse_number(length, &number) && number <= rest.len ? (size_t)number : 0;
        request->rest = bytes_skip(rest, request->body_len);
        return length_count == 1 && request->body_len == number;
    }
    struct buf data;
    buf_init(&data, SIZE_MAX);
    size_t len = messages_chunks_len(rest, &data);
    request->body_len = buf_len(&data);
    request->rest = bytes_skip(rest, len);
    buf_reset(&data);
    return length_count == 0 && !request->is_1_0 && len > 0 && last_word_is(coding, "chunked");
}

void plain_response(struct bytes text, bool is_head, bool is_unknown,
                    struct plain_response *response)
{
    *response = (struct plain_response){.rest = text};
    buf_init(&response->text, SIZE_MAX);
    const char *end = text.len < 4 ? NULL : memmem(text.at, text.len, "\r\n\r\n", 4);
    CHECK(end != NULL);
    struct bytes head = bytes_of(text.at, (size_t)(end - text.at) + 4);
    response->rest = bytes_skip(text, head.len);
    struct bytes fields = head;
    struct bytes line;
    struct bytes value;
    uint64_t status;
    CHECK(next_line(&fields, &line) && bytes_starts_with(line, BYTES("HTTP/1.1 ")));
    CHECK(line.len > 13 && line.at[12] == ' ' && parse_number(bytes_of(line.at + 9, 3), &status));
    CHECK(status >= 100 && status <= 599);
    response->status = (int)status;
    check_fields(fields);
    put_head(head, &response->text);
    if (status < 200 || status == 204) { // RFC 9110, section 8.6; RFC 9112, section 6.1
        CHECK(find_field(head, "content-length", &value) == 0);
        CHECK(find_field(head, "transfer-encoding", &value) == 0);
    }
    if (status < 200) {
        return;
    }
    CHECK(find_field(head, "date", &value) == 1 && value.len == 29);
    size_t connection_count = find_field(head, "connection", &value);
    CHECK(connection_count <= 1);
    response->is_close = connection_count == 1 && last_word_is(value, "close");
    if (!is_head && status != 204 && status != 304) {
        read_response_body(head, is_unknown, response);
    }
}

static void read_response_body(struct bytes head, bool is_unknown, struct plain_response *response)
{
    struct bytes value;
    uint64_t length = 0;
    size_t length_count = find_field(head, "content-length", &value);
    CHECK(length_count <= 1 && (length_count == 0 || parse_number(value, &length)));
    size_t coding_count = find_field(head, "transfer-encoding", &value);
    CHECK(length_count + coding_count <= 1);
    struct bytes rest = response->rest;
    size_t len = rest.len; // up to the end of the connection
    if (coding_count == 1) {
        CHECK(last_word_is(value, "chunked"));
        len = messages_chunks_len(rest, &response->text);
        CHECK(len > 0);
    } else if (length_count == 1) {
        bool is_left_out = is_unknown && rest.len == 0;
        CHECK(is_left_out || length <= rest.len);
        len = is_left_out ? 0 : (size_t)length;
        messages_put(&response->text, bytes_of(rest.at, len));
    } else {
        CHECK(response->is_close);
        messages_put(&response->text, rest);
    }
    response->rest = bytes_skip(rest, len);
}

/// Takes the next line, without its end. Returns false behind the last one.
static bool next_line(struct bytes *rest, struct bytes *line)
{
    const char *end = rest->len == 0 ? NULL : memmem(rest->at, rest->len, "\r\n", 2);
    if (end == NULL) {
        return false;
    }
    *line = bytes_of(rest->at, (size_t)(end - rest->at));
    *rest = bytes_skip(*rest, line->len + 2);
    return true;
}

/// Returns how many fields called `name` the head has, and the value of the last.
static size_t find_field(struct bytes head, const char *name, struct bytes *value)
{
    size_t count = 0;
    struct bytes wanted = bytes_from_string(name);
    struct bytes line;
    (void)next_line(&head, &line); // the first line has no field
    while (next_line(&head, &line)) {
        if (line.len > wanted.len && line.at[wanted.len] == ':' &&
            bytes_equal_nocase(bytes_of(line.at, wanted.len), wanted)) {
            *value = bytes_trim(bytes_skip(line, wanted.len + 1));
            count++;
        }
    }
    return count;
}

static bool parse_number(struct bytes text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.at[i] - '0';
        if (digit > 9 || *number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
    }
    return text.len > 0;
}

static bool last_word_is(struct bytes list, const char *word)
{
    struct bytes wanted = bytes_from_string(word);
    while (list.len > 0 && memchr(", \t", list.at[list.len - 1], 3) != NULL) {
        list.len--;
    }
    return list.len >= wanted.len &&
           bytes_equal_nocase(bytes_skip(list, list.len - wanted.len), wanted);
}

/// `name: value`, without anything that could be read in two ways.
static void check_fields(struct bytes fields)
{
    struct bytes line;
    while (next_line(&fields, &line) && line.len > 0) {
        const char *colon = memchr(line.at, ':', line.len);
        CHECK(colon != NULL && colon > line.at && colon[1] == ' ');
        for (const char *at = line.at; at < line.at + line.len; at++) {
            CHECK((unsigned char)*at >= ' ' && *at != 0x7f);
            CHECK(at > colon || *at != ' ');
        }
    }
    CHECK(fields.len == 0);
}

static void put_head(struct bytes head, struct buf *out)
{
    struct bytes line;
    while (next_line(&head, &line)) {
        messages_put(out, bytes_starts_with(line, BYTES("Date: ")) ? BYTES("Date: ") : line);
        messages_put(out, BYTES("\r\n"));
    }
}
