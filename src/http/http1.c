// SPDX-License-Identifier: MIT
//
// A head passes three judges, in this order: the guard (wire), which checks the grammar byte by
// byte and finds the end; llhttp, which finds method, target and fields; and `check_meaning`, which
// checks what the message means: Host, the two lengths, transfer codings, Expect. Then the request
// keeps a copy of the head. A body is read by its length or by the guard of chunks, never by
// llhttp.
#include "http/http1.h"

#include "base/mem.h"
#include "base/slab.h"
#include "wire/guard.h"
#include "wire/headers.h"

#include <llhttp.h>

struct http1 {
    llhttp_t llhttp;
    union {
        struct head_guard head;
        struct chunk_guard chunks;
    } guard;
    const struct limits *limits; // held; NULL while it is stopped
    size_t seen_len;             // bytes of an incomplete head that the guard has passed
    uint64_t body_left;          // of a sized body
    size_t skipped_len;          // of chunked content that nobody wants
    int status;
    const char *why;
    struct bytes target;
    size_t field_count;
    struct request_field *fields; // found by the parser, in the head
    size_t field_capacity;
};

static int on_url(llhttp_t *llhttp, const char *at, size_t len);
static int on_field_name(llhttp_t *llhttp, const char *at, size_t len);
static int on_field_name_complete(llhttp_t *llhttp);
static int on_field_value(llhttp_t *llhttp, const char *at, size_t len);
static int on_headers_complete(llhttp_t *llhttp);
static enum http1_result refuse(struct http1 *parser, int status, const char *why);
static enum http1_result refuse_guard(struct http1 *parser, enum guard_result result,
                                      const char *why);
static enum http1_result parse(struct http1 *parser, struct bytes head, struct request *request);
static enum http1_result refuse_parse(struct http1 *parser, llhttp_errno_t failure);
static enum http1_result check_meaning(struct http1 *parser, struct request *request);
static enum http1_result check_host(struct http1 *parser, const struct request *request);
static enum http1_result check_scheme(struct http1 *parser, const struct request *request);
static enum http1_result check_framing(struct http1 *parser, struct request *request);
static enum http1_result check_codings(struct http1 *parser, struct request *request,
                                       struct bytes value);
static enum http1_result check_expect(struct http1 *parser, struct request *request);
static void adopt_authority(struct request *request);
static void note_connection(struct request *request);
static void keep_head(struct http1 *parser, struct bytes head, struct request *request);
static void make_room(struct http1 *parser, size_t field_count);
static size_t count_field(const struct request *request, struct bytes name, struct bytes *value);
static enum http1_result take_sized(struct http1 *parser, struct bytes bytes,
                                    struct request_body *body, size_t *taken);
static enum http1_result refuse_body(struct http1 *parser, const struct request_body *body,
                                     size_t size);
static enum http1_result take_chunks(struct http1 *parser, struct bytes bytes,
                                     struct request_body *body, size_t *taken);

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field_name,
    .on_header_field_complete = on_field_name_complete,
    .on_header_value = on_field_value,
    .on_headers_complete = on_headers_complete,
};

struct http1 *http1_new(void)
{
    return mem_new(struct http1);
}

void http1_start(struct http1 *parser, const struct limits *limits)
{
    DCHECK(parser->limits == NULL);
    parser->limits = limits_hold(limits);
    head_guard_init(&parser->guard.head);
    parser->target = BYTES("");
    parser->seen_len = 0;
    parser->field_count = 0;
}

void http1_stop(struct http1 *parser)
{
    if (parser->limits != NULL) {
        limits_release(parser->limits);
        parser->limits = NULL;
    }
}

const struct limits *http1_limits(const struct http1 *parser)
{
    return parser->limits;
}

void http1_free(struct http1 *parser)
{
    if (parser != NULL) {
        http1_stop(parser);
        mem_free(parser->fields);
        mem_free(parser);
    }
}

enum http1_result http1_head(struct http1 *parser, char *at, size_t len, struct request *request,
                             size_t *taken)
{
    DCHECK(parser->limits != NULL && len >= parser->seen_len);
    size_t guard_taken = 0;
    size_t seen_len = parser->seen_len;
    struct head_guard *guard = &parser->guard.head;
    enum guard_result result =
        head_guard_take(guard, at + seen_len, len - seen_len, &parser->limits->head, &guard_taken);
    *taken = seen_len + guard_taken;
    if (result == GUARD_MORE) {
        bool has_begun = head_guard_has_begun(guard);
        parser->seen_len = has_begun ? len : 0;
        *taken = has_begun ? 0 : len;
        return HTTP1_MORE;
    }
    if (result != GUARD_DONE) {
        http1_note_method(bytes_of(at, *taken), request);
        return refuse_guard(parser, result, guard->why);
    }
    enum http1_result parsed = parse(parser, bytes_of(at, *taken), request);
    if (parsed == HTTP1_DONE) {
        parser->body_left = request->body.length;
        parser->skipped_len = 0;
        chunk_guard_init(&parser->guard.chunks);
    }
    return parsed;
}

void http1_note_method(struct bytes head, struct request *request)
{
    while (head.len > 0 && (head.at[0] == '\r' || head.at[0] == '\n')) {
        head = bytes_skip(head, 1);
    }
    if (bytes_starts_with(head, BYTES("HEAD "))) {
        request->method = BYTES("HEAD"); // the bytes of the head do not last
    }
}

enum http1_result http1_body(struct http1 *parser, struct bytes bytes, struct request_body *body,
                             size_t *taken)
{
    *taken = 0;
    DCHECK(parser->limits != NULL && (body->is_chunked || body->length > 0));
    return body->is_chunked ? take_chunks(parser, bytes, body, taken)
                            : take_sized(parser, bytes, body, taken);
}

uint64_t http1_body_left(const struct http1 *parser, const struct request_body *body)
{
    return body->is_chunked ? chunk_guard_data_left(&parser->guard.chunks) : parser->body_left;
}

size_t http1_skipped_len(const struct http1 *parser)
{
    return parser->skipped_len;
}

int http1_status(const struct http1 *parser)
{
    return parser->status;
}

const char *http1_why(const struct http1 *parser)
{
    return parser->why;
}

static enum http1_result refuse(struct http1 *parser, int status, const char *why)
{
    DCHECK(status >= 400 && status <= 599);
    parser->status = status;
    parser->why = why;
    return HTTP1_REFUSED;
}

/// `why` is what the guard says; the table of refusals has the rest.
static enum http1_result refuse_guard(struct http1 *parser, enum guard_result result,
                                      const char *why)
{
    const struct guard_refusal *refusal = guard_refusal_of(result);
    if (refusal->limit != NULL) {
        limit_met(refusal->limit, guard_refusal_bound(refusal, &parser->limits->head));
    }
    return refuse(parser, refusal->status, refusal->why == NULL ? why : refusal->why);
}

/// Gives the head to llhttp in one piece, so each name and value that it finds is a slice of the
/// head.
static enum http1_result parse(struct http1 *parser, struct bytes head, struct request *request)
{
    make_room(parser, parser->guard.head.field_count);
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
    llhttp_errno_t failure = llhttp_execute(&parser->llhttp, head.at, head.len);
    if (failure != HPE_OK && failure != HPE_PAUSED) {
        http1_note_method(head, request);
        return refuse_parse(parser, failure);
    }
    keep_head(parser, head, request);
    return check_meaning(parser, request);
}

/// Refuses what the guard has passed and llhttp has not: a method that llhttp does not know, or a
/// target.
static enum http1_result refuse_parse(struct http1 *parser, llhttp_errno_t failure)
{
    switch (failure) {
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT: // a method of RTSP
        return refuse(parser, 501, "the method is not implemented (RFC 9110, 9.1)");
    case HPE_INVALID_URL:
        return refuse(parser, 400, "the request target is malformed (RFC 9112, 3.2)");
    default:
        return refuse(parser, 400, "the request is malformed (RFC 9112, 2.2)");
    }
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http1 *parser = llhttp->data;
    parser->target = parser->target.len == 0
                         ? bytes_of(at, len)
                         : bytes_of(parser->target.at, parser->target.len + len);
    return 0;
}

/// llhttp may tell a name in parts. A name is a new one when the field before it has a value.
static int on_field_name(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http1 *parser = llhttp->data;
    struct request_field *last = &parser->fields[parser->field_count];
    if (parser->field_count > 0 && last[-1].value.at == NULL) {
        last[-1].name.len += len;
        return 0;
    }
    if (parser->field_count == parser->field_capacity) {
        return -1; // the guard has counted fewer: the two readings differ, so neither is trusted
    }
    *last = (struct request_field){.name = bytes_of(at, len)};
    parser->field_count++;
    return 0;
}

/// Makes llhttp take every field for an ordinary one: lengths and codings are judged by
/// `check_framing` alone. llhttp would refuse lists with empty members, which are legal (RFC 9110,
/// section 5.6.1.2).
static int on_field_name_complete(llhttp_t *llhttp)
{
    llhttp->header_state = 0;
    return 0;
}

static int on_field_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http1 *parser = llhttp->data;
    struct request_field *last = &parser->fields[parser->field_count - 1];
    last->value = last->value.at == NULL ? bytes_of(at, len)
                                         : bytes_of(last->value.at, last->value.len + len);
    return 0;
}

/// Stops llhttp behind the head. The server takes up no upgrade (RFC 9110, section 7.8), so what
/// follows is read as HTTP.
static int on_headers_complete(llhttp_t *llhttp)
{
    llhttp->upgrade = 0;
    return HPE_PAUSED;
}

/// Gives the request its block, with the head as it came. An empty line may stand before the
/// method.
static void keep_head(struct http1 *parser, struct bytes head, struct request *request)
{
    size_t start = 0;
    while (head.at[start] == '\r' || head.at[start] == '\n') {
        start++;
    }
    const char *method = head.at + start;
    const char *method_end = memchr(method, ' ', head.len - start);
    DCHECK(method_end != NULL && method_end > method);
    request->method = bytes_of(method, (size_t)(method_end - method));
    request->target_text = parser->target;
    request->minor_version = parser->llhttp.http_minor;
    request_keep(request, head, parser->fields, parser->field_count);
}

/// Makes room for as many fields as the guard has counted. llhttp must find as many: see
/// `on_field_name`.
static void make_room(struct http1 *parser, size_t field_count)
{
    if (field_count > parser->field_capacity) {
        parser->fields = mem_resize(parser->fields, field_count * sizeof(struct request_field));
        parser->field_capacity = field_count;
    }
}

static enum http1_result check_meaning(struct http1 *parser, struct request *request)
{
    if (!url_split_target(request->method, request->target_text, &request->target)) {
        return refuse(parser, 400, "the request target is malformed (RFC 9112, 3.2)");
    }
    enum http1_result result = check_host(parser, request);
    if (result == HTTP1_DONE) {
        result = check_scheme(parser, request);
    }
    if (result == HTTP1_DONE) {
        result = check_framing(parser, request);
    }
    if (result == HTTP1_DONE) {
        adopt_authority(request);
        note_connection(request);
        result = check_expect(parser, request);
    }
    return result;
}

static enum http1_result check_host(struct http1 *parser, const struct request *request)
{
    struct bytes host;
    size_t count = count_field(request, BYTES("host"), &host);
    if (count > 1) {
        return refuse(parser, 400, "more than one Host (RFC 9112, 3.2)");
    }
    if (count == 0) {
        return request->minor_version == 0 ? HTTP1_DONE
                                           : refuse(parser, 400, "Host is missing (RFC 9112, 3.2)");
    }
    // A comma is legal in a host, but a proxy that joins two Host fields makes one.
    bool is_one = url_host_is_valid(host) && memchr(host.at, ',', host.len) == NULL;
    return is_one ? HTTP1_DONE : refuse(parser, 400, "Host is not a host (RFC 9112, 3.2)");
}

/// Refuses a target of https: the connection is not secured.
static enum http1_result check_scheme(struct http1 *parser, const struct request *request)
{
    struct bytes https = BYTES("https:");
    struct bytes text = request->target_text;
    bool is_https = request->target.form == TARGET_ABSOLUTE && text.len > https.len &&
                    bytes_equal_nocase(bytes_of(text.at, https.len), https);
    return is_https ? refuse(parser, 421, "https over a plain connection (RFC 9110, 7.4)")
                    : HTTP1_DONE;
}

/// Finds out how long the body is, by Content-Length or Transfer-Encoding, and refuses a message
/// whose two lengths could be read in different ways (RFC 9112, section 6.3).
static enum http1_result check_framing(struct http1 *parser, struct request *request)
{
    struct bytes coding;
    struct bytes length;
    size_t coding_count = count_field(request, BYTES("transfer-encoding"), &coding);
    size_t length_count = count_field(request, BYTES("content-length"), &length);
    if (length_count > 1) {
        return refuse(parser, 400, "more than one Content-Length (RFC 9112, 6.3)");
    }
    if (length_count == 1 && !headers_content_length(length, &request->body.length)) {
        return refuse(parser, 400, "Content-Length is not one number (RFC 9112, 6.3)");
    }
    if (coding_count == 0) {
        return HTTP1_DONE;
    }
    if (length_count == 1) {
        return refuse(parser, 400, "Content-Length beside Transfer-Encoding (RFC 9112, 6.1)");
    }
    if (request->minor_version == 0) {
        return refuse(parser, 400, "Transfer-Encoding in HTTP/1.0 (RFC 9112, 6.1)");
    }
    struct buf joined;
    buf_init(&joined, request_block_size(request)); // the values are a part of it
    (void)request_joined_field(request, BYTES("transfer-encoding"), &joined); // it was counted
    enum http1_result result = check_codings(parser, request, buf_bytes(&joined));
    buf_reset(&joined);
    return result;
}

/// Takes `chunked` alone, once and last. Another coding before it is answered with 501 (RFC 9112,
/// section 6.1).
static enum http1_result check_codings(struct http1 *parser, struct request *request,
                                       struct bytes value)
{
    struct bytes member = {0};
    size_t chunked_count = 0;
    size_t other_count = 0;
    bool is_last = false;
    while (headers_next_member(&value, &member)) {
        is_last = bytes_equal_nocase(member, BYTES("chunked"));
        chunked_count += is_last ? 1 : 0;
        other_count += is_last ? 0 : 1;
    }
    if (!is_last || chunked_count != 1) {
        return refuse(parser, 400, "the final transfer coding must be chunked (RFC 9112, 6.3)");
    }
    if (other_count > 0) {
        return refuse(parser, 501, "no transfer coding but chunked is implemented (RFC 9112, 6.1)");
    }
    request->body.is_chunked = true;
    return HTTP1_DONE;
}

/// Looks for 100-continue, and refuses any other expectation. HTTP/1.0 has none, and there the
/// field is ignored (RFC 9110, section 10.1.1).
static enum http1_result check_expect(struct http1 *parser, struct request *request)
{
    struct bytes member;
    for (size_t i = 0; i < request->field_count && request->minor_version > 0; i++) {
        struct request_field field = request_field_at(request, i);
        if (!bytes_equal_nocase(field.name, BYTES("expect"))) {
            continue;
        }
        while (headers_next_member(&field.value, &member)) {
            if (!bytes_equal_nocase(member, BYTES("100-continue"))) {
                return refuse(parser, 417, "only 100-continue can be expected (RFC 9110, 10.1.1)");
            }
            request->body.expects_continue = true;
        }
    }
    return HTTP1_DONE;
}

/// The authority of an absolute target takes the place of Host (RFC 9112, section 3.2.2).
static void adopt_authority(struct request *request)
{
    for (size_t i = 0; i < request->field_count && request->target.form == TARGET_ABSOLUTE; i++) {
        if (bytes_equal_nocase(request_field_at(request, i).name, BYTES("host"))) {
            request_replace_value(request, i, request->target.authority);
        }
    }
}

/// Finds out whether the connection is kept after the answer (RFC 9112, section 9.3).
static void note_connection(struct request *request)
{
    bool is_close = false;
    bool is_keep_alive = false;
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        if (bytes_equal_nocase(field.name, BYTES("connection"))) {
            is_close = is_close || headers_list_has(field.value, BYTES("close"));
            is_keep_alive = is_keep_alive || headers_list_has(field.value, BYTES("keep-alive"));
        }
    }
    request->wants_close = is_close || (request->minor_version == 0 && !is_keep_alive);
}

static size_t count_field(const struct request *request, struct bytes name, struct bytes *value)
{
    size_t count = 0;
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        if (bytes_equal_nocase(field.name, name)) {
            *value = field.value;
            count++;
        }
    }
    return count;
}

static enum http1_result take_sized(struct http1 *parser, struct bytes bytes,
                                    struct request_body *body, size_t *taken)
{
    *taken = bytes.len < parser->body_left ? bytes.len : (size_t)parser->body_left;
    if (!buf_append(&body->content, bytes_of(bytes.at, *taken))) {
        return refuse_body(parser, body, *taken);
    }
    DCHECK(*taken <= parser->body_left);
    parser->body_left -= *taken;
    return parser->body_left == 0 ? HTTP1_DONE : HTTP1_MORE;
}

/// Refuses a body that has no room for `size` bytes more: they are too many, or there is no memory.
static enum http1_result refuse_body(struct http1 *parser, const struct request_body *body,
                                     size_t size)
{
    if (size > buf_room(&body->content)) {
        limit_met("body_bytes", body->bytes_max);
        return refuse(parser, 413, "the body is larger than this route takes");
    }
    return refuse(parser, 503, "there is no memory for the body; try again later");
}

static enum http1_result take_chunks(struct http1 *parser, struct bytes bytes,
                                     struct request_body *body, size_t *taken)
{
    enum guard_result result = GUARD_MORE;
    while (result == GUARD_MORE && bytes.len > 0) {
        struct chunk_part part;
        result = chunk_guard_take(&parser->guard.chunks, bytes, &parser->limits->head, &part);
        if (body->is_unwanted) {
            parser->skipped_len += part.data.len;
        } else if (!buf_append(&body->content, part.data)) {
            return refuse_body(parser, body, part.data.len);
        }
        bytes = bytes_skip(bytes, part.taken);
        *taken += part.taken;
    }
    if (result == GUARD_MORE || result == GUARD_DONE) {
        return result == GUARD_DONE ? HTTP1_DONE : HTTP1_MORE;
    }
    return refuse_guard(parser, result, parser->guard.chunks.why);
}
