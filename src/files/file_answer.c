// SPDX-License-Identifier: MIT
//
// In order: the validators of the file; the conditions, which may end it with 304 or 412; the
// ranges, which may end it with 416; then the fields of the content and the content itself.
#include "files/file_answer.h"

#include "base/decimal.h"
#include "base/environment.h"
#include "base/mem.h"
#include "files/download.h"
#include "files/lookup.h"
#include "files/pieces.h"
#include "http/exchange.h"
#include "wire/condition.h"
#include "wire/date.h"
#include "wire/disposition.h"
#include "wire/media_type.h"

#include <errno.h>
#include <stdio.h>

enum { RANGE_TEXT_MAX = 80, DISPOSITION_BYTES_MAX = 8 * 1024, BOUNDARY_LEN_MAX = 70 };

/// What is known while the answer is made.
struct making {
    struct exchange *exchange;
    struct lookup_found *found;
    const struct file_answer *answer;
    char etag_text[ETAG_LEN_MAX];
    char modified_text[HTTP_DATE_LEN];
    struct validators validators;
    struct buf joined[3]; // fields of the request that may come several times
};

static int send_file(struct making *making);
static void read_validators(struct making *making);
static struct bytes type_of(const struct making *making);
static struct bytes field(const struct making *making, struct bytes name);
static struct bytes list_field(struct making *making, int index, struct bytes name);
static enum condition judge(struct making *making, struct conditions *conditions);
static enum range_outcome find_ranges(struct making *making, const struct conditions *conditions,
                                      struct byte_ranges *ranges);
static int set_validators(const struct making *making);
static int set_content_fields(const struct making *making);
static int set_coding_fields(const struct making *making);
static int set_disposition(const struct making *making);
static int set_field(const struct making *making, struct bytes name, struct bytes value);
static int refuse(const struct making *making, int status, struct bytes text);
static int refuse_range(const struct making *making);
static int make_pieces(const struct making *making, const struct byte_ranges *ranges,
                       struct pieces *pieces);
static int make_multipart(const struct making *making, const struct byte_ranges *ranges,
                          struct pieces *pieces);
static int send_pieces(const struct making *making, struct pieces *pieces);
static int send_from_memory(const struct making *making, struct pieces *pieces);

int file_answer_send(struct exchange *exchange, struct lookup *lookup,
                     const struct file_answer *answer)
{
    struct making making = {.exchange = exchange, .found = &lookup->found, .answer = answer};
    DCHECK(lookup->found.failure == 0 && exchange->response.state == RESPONSE_FRESH);
    for (int i = 0; i < 3; i++) {
        buf_init(&making.joined[i], request_block_size(exchange->request));
    }
    int failure = send_file(&making);
    for (int i = 0; i < 3; i++) {
        buf_reset(&making.joined[i]);
    }
    return failure;
}

static int send_file(struct making *making)
{
    struct conditions conditions;
    struct byte_ranges ranges = {.count = 0};
    struct pieces pieces;
    struct response *response = &making->exchange->response;
    read_validators(making);
    enum condition condition = judge(making, &conditions);
    if (condition == CONDITION_FAILED) {
        return refuse(making, 412, BYTES("412: the file is another one by now\n"));
    }
    int failure = set_validators(making);
    if (failure == 0 && condition == CONDITION_NOT_MODIFIED) {
        response->status = 304;
        return exchange_send(making->exchange, BYTES(""));
    }
    if (failure == 0 && find_ranges(making, &conditions, &ranges) == RANGE_REFUSED) {
        return refuse_range(making);
    }
    failure = failure == 0 ? set_content_fields(making) : failure;
    failure = failure == 0 ? make_pieces(making, &ranges, &pieces) : failure;
    return failure == 0 ? send_pieces(making, &pieces) : failure;
}

static void read_validators(struct making *making)
{
    const struct etag_source *facts = &making->found->facts;
    making->validators = (struct validators){
        .etag = bytes_of(making->etag_text, etag_of_file(facts, making->etag_text)),
        .modified_s = facts->modified_s,
        .now_s = environment_time(CLOCK_REALTIME).tv_sec,
    };
    date_format(facts->modified_s, making->modified_text);
}

/// The type that the script has set, or else what the name says. Valid until a field changes.
static struct bytes type_of(const struct making *making)
{
    struct bytes type;
    bool is_set = response_field(&making->exchange->response, BYTES("Content-Type"), &type);
    return is_set ? type : media_type_of_name(making->answer->name);
}

/// The value of a field that comes once; without an address when there is none.
static struct bytes field(const struct making *making, struct bytes name)
{
    struct bytes value;
    bool is_there = request_field(making->exchange->request, name, &value);
    return is_there ? value : (struct bytes){NULL, 0};
}

/// The values of all fields `name`, joined.
static struct bytes list_field(struct making *making, int index, struct bytes name)
{
    struct buf *joined = &making->joined[index];
    bool is_there = request_joined_field(making->exchange->request, name, joined);
    return is_there ? buf_bytes(joined) : (struct bytes){NULL, 0};
}

/// Conditions are about the answer 200 to a GET or HEAD (RFC 9110, section 13.2.1).
static enum condition judge(struct making *making, struct conditions *conditions)
{
    struct bytes method = making->exchange->request->method;
    *conditions = (struct conditions){.if_match = {NULL, 0}};
    if (making->exchange->response.status != 200 ||
        !(making->exchange->is_head || bytes_equal(method, BYTES("GET")))) {
        return CONDITION_MET;
    }
    conditions->if_match = list_field(making, 0, BYTES("If-Match"));
    conditions->if_none_match = list_field(making, 1, BYTES("If-None-Match"));
    conditions->if_modified_since = field(making, BYTES("If-Modified-Since"));
    conditions->if_unmodified_since = field(making, BYTES("If-Unmodified-Since"));
    conditions->if_range = field(making, BYTES("If-Range"));
    return condition_judge(conditions, &making->validators);
}

/// Range has a meaning for GET alone (RFC 9110, section 14.2).
static enum range_outcome find_ranges(struct making *making, const struct conditions *conditions,
                                      struct byte_ranges *ranges)
{
    const struct exchange *exchange = making->exchange;
    if (exchange->response.status != 200 || !bytes_equal(exchange->request->method, BYTES("GET")) ||
        !condition_allows_range(conditions, &making->validators)) {
        return RANGE_IGNORED;
    }
    enum range_outcome outcome =
        range_parse(list_field(making, 2, BYTES("Range")), making->found->facts.size, ranges);
    if (outcome == RANGE_IGNORED) {
        ranges->count = 0;
    }
    return outcome;
}

/// What 304 has of the fields of a 200 (RFC 9110, section 15.4.5).
static int set_validators(const struct making *making)
{
    struct bytes cache = making->answer->cache_control;
    int failure = set_field(making, BYTES("ETag"), making->validators.etag);
    if (failure == 0) {
        failure = set_field(making, BYTES("Last-Modified"),
                            bytes_of(making->modified_text, HTTP_DATE_LEN));
    }
    if (failure == 0 && cache.len > 0) {
        failure = set_field(making, BYTES("Cache-Control"), cache);
    }
    if (failure == 0 && making->answer->has_codings) {
        failure = response_add_field(&making->exchange->response, BYTES("Vary"),
                                     BYTES("Accept-Encoding"));
    }
    return failure;
}

static int set_content_fields(const struct making *making)
{
    struct bytes type;
    int failure = set_field(making, BYTES("Accept-Ranges"), BYTES("bytes"));
    if (failure == 0 &&
        !response_field(&making->exchange->response, BYTES("Content-Type"), &type)) {
        failure = set_field(making, BYTES("Content-Type"), type_of(making));
    }
    if (failure == 0) {
        failure = set_coding_fields(making);
    }
    return failure == 0 ? set_disposition(making) : failure;
}

static int set_coding_fields(const struct making *making)
{
    switch (making->found->coding) {
    case FILE_PLAIN:
        return 0;
    case FILE_BR:
        return set_field(making, BYTES("Content-Encoding"), BYTES("br"));
    case FILE_GZIP:
        return set_field(making, BYTES("Content-Encoding"), BYTES("gzip"));
    }
    UNREACHABLE();
}

static int set_disposition(const struct making *making)
{
    struct buf text;
    if (making->answer->download_name.len == 0) {
        return 0;
    }
    buf_init(&text, DISPOSITION_BYTES_MAX);
    int failure = disposition_write(making->answer->download_name, &text)
                      ? set_field(making, BYTES("Content-Disposition"), buf_bytes(&text))
                      : -ENOMEM;
    buf_reset(&text);
    return failure;
}

static int set_field(const struct making *making, struct bytes name, struct bytes value)
{
    return response_set_field(&making->exchange->response, name, value);
}

/// Answers with a status and a line of text instead of the file.
static int refuse(const struct making *making, int status, struct bytes text)
{
    struct response *response = &making->exchange->response;
    DCHECK(status >= 400 && response->state == RESPONSE_FRESH);
    response_forget_content(response);
    response->status = (uint16_t)status;
    response->is_text = true;
    return exchange_send(making->exchange, text);
}

static int refuse_range(const struct making *making)
{
    char text[RANGE_TEXT_MAX];
    int len =
        snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)making->found->facts.size);
    int failure = set_field(making, BYTES("Content-Range"), bytes_of(text, (size_t)len));
    return failure != 0 ? failure : refuse(making, 416, BYTES("416: no such range of the file\n"));
}

static int make_pieces(const struct making *making, const struct byte_ranges *ranges,
                       struct pieces *pieces)
{
    uint64_t size = making->found->facts.size;
    char text[RANGE_TEXT_MAX];
    if (ranges->count > 1) {
        return make_multipart(making, ranges, pieces);
    }
    if (ranges->count == 0) {
        pieces_init(pieces, 0, size);
        return 0;
    }
    struct byte_range range = ranges->items[0];
    DCHECK(range.last < size);
    int len = snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)range.first,
                       (unsigned long long)range.last, (unsigned long long)size);
    int failure = set_field(making, BYTES("Content-Range"), bytes_of(text, (size_t)len));
    if (failure == 0) {
        making->exchange->response.status = 206;
        pieces_init(pieces, range.first, range_size(range));
    }
    return failure;
}

/// The boundary has the id of the request, which no file has that was there before.
static int make_multipart(const struct making *making, const struct byte_ranges *ranges,
                          struct pieces *pieces)
{
    struct bytes type_start = BYTES("multipart/byteranges; boundary=");
    struct bytes boundary_start = BYTES("lunesse-");
    char type[128];
    char *boundary = type + type_start.len;
    memcpy(type, type_start.at, type_start.len);
    memcpy(boundary, boundary_start.at, boundary_start.len);
    size_t len = boundary_start.len + exchange_id(making->exchange, boundary + boundary_start.len);
    DCHECK(len <= BOUNDARY_LEN_MAX);
    struct pieces_source source = {type_of(making), bytes_of(boundary, len),
                                   making->found->facts.size};
    int failure = pieces_init_multipart(pieces, ranges, &source);
    if (failure != 0) {
        return failure;
    }
    failure = set_field(making, BYTES("Content-Type"), bytes_of(type, type_start.len + len));
    if (failure != 0) {
        pieces_deinit(pieces);
        return failure;
    }
    making->exchange->response.status = 206;
    return 0;
}

static int send_pieces(const struct making *making, struct pieces *pieces)
{
    struct lookup_found *found = making->found;
    if (found->content != NULL) {
        return send_from_memory(making, pieces);
    }
    int file = found->file;
    DCHECK(file >= 0 && pieces->count > 0);
    found->file = -1;
    return download_send(making->exchange, file, pieces);
}

static int send_from_memory(const struct making *making, struct pieces *pieces)
{
    struct bytes content = bytes_of(making->found->content, (size_t)making->found->facts.size);
    struct bytes texts = buf_bytes(&pieces->texts);
    struct buf body;
    DCHECK(pieces->count > 0);
    if (pieces->count == 1) {
        struct bytes rest = bytes_skip(content, (size_t)pieces->items[0].first);
        int result =
            exchange_send(making->exchange, bytes_of(rest.at, (size_t)pieces->items[0].size));
        pieces_deinit(pieces);
        return result;
    }
    buf_init(&body, (size_t)pieces->length);
    bool has_room = true;
    for (size_t i = 0; i < pieces->count && has_room; i++) {
        const struct piece *piece = &pieces->items[i];
        struct bytes rest = bytes_skip(content, (size_t)piece->first);
        has_room = buf_append(&body, bytes_of(texts.at, piece->text_len)) &&
                   buf_append(&body, bytes_of(rest.at, (size_t)piece->size));
        texts = bytes_skip(texts, piece->text_len);
    }
    int failure = has_room ? exchange_send(making->exchange, buf_bytes(&body)) : -ENOMEM;
    buf_reset(&body);
    pieces_deinit(pieces);
    return failure;
}
