// SPDX-License-Identifier: MIT
#include "http/compress.h"

#include "base/mem.h"
#include "http/exchange.h"
#include "http/fields.h"
#include "wire/accept.h"
#include "wire/headers.h"
#include "wire/media_type.h"
#include "wire/status.h"

#include <errno.h>
#include <zlib.h>
#ifdef LUNESSE_BROTLI
#include <brotli/encode.h>
#endif

enum {
    GZIP_LEVEL = 4,
    GZIP_WINDOW_BITS = 15 + 16, // 16 more: with the head of gzip
    GZIP_MEMORY_LEVEL = 8,
    BROTLI_LEVEL = 4,
    ETAG_BYTES_MAX = 256,
};

static bool is_compressible(const struct exchange *exchange);
static bool is_fixed(const struct exchange *exchange);
static bool set_vary(struct exchange *exchange);
static enum content_coding best_coding(const struct exchange *exchange);
static size_t gzip(struct bytes content, char *out, size_t size_max);
static size_t brotli(struct bytes content, char *out, size_t size_max);

enum content_coding compress_choose(struct exchange *exchange)
{
    DCHECK(exchange->response.state == RESPONSE_FRESH && !exchange->response.is_stream);
    if (!is_compressible(exchange) || is_fixed(exchange) || !set_vary(exchange)) {
        return CODING_PLAIN;
    }
    return best_coding(exchange);
}

/// A coded text that is not smaller has no room in the memory that is given to it.
int compress_bytes(enum content_coding coding, struct bytes content, char **out, size_t *size)
{
    DCHECK(coding != CODING_PLAIN && content.len >= COMPRESS_BYTES_MIN);
    *size = 0;
    *out = mem_try_resize(NULL, content.len);
    if (*out == NULL) {
        return -ENOMEM;
    }
    *size = coding == CODING_BR ? brotli(content, *out, content.len - 1)
                                : gzip(content, *out, content.len - 1);
    if (*size == 0) {
        mem_free(*out);
        *out = NULL;
        return -ENOSPC;
    }
    return 0;
}

int compress_mark(struct exchange *exchange, enum content_coding coding)
{
    struct response *response = &exchange->response;
    char weak[ETAG_BYTES_MAX];
    struct bytes tag;
    DCHECK(coding != CODING_PLAIN);
    if (response_field(response, BYTES("ETag"), &tag) && tag.len > 0 && tag.at[0] == '"') {
        if (tag.len + 2 > sizeof(weak)) {
            response_remove_field(response, BYTES("ETag"));
        } else {
            weak[0] = 'W';
            weak[1] = '/';
            memcpy(weak + 2, tag.at, tag.len);
            int failure = response_set_field(response, BYTES("ETag"), bytes_of(weak, tag.len + 2));
            if (failure != 0) {
                return failure;
            }
        }
    }
    struct bytes name = coding == CODING_BR ? BYTES("br") : BYTES("gzip");
    return response_set_field(response, BYTES("Content-Encoding"), name);
}

static bool is_compressible(const struct exchange *exchange)
{
    const struct response *response = &exchange->response;
    struct bytes type;
    if (!status_has_content(response->status) || response->status == 206 ||
        response->status == 205) {
        return false;
    }
    return response_field(response, BYTES("Content-Type"), &type) ? media_type_is_compressible(type)
                                                                  : response->is_text;
}

/// Whether the bytes of the content have to be sent as they are.
static bool is_fixed(const struct exchange *exchange)
{
    const struct response *response = &exchange->response;
    struct bytes value;
    struct bytes common = exchange_service(exchange)->terms.common_fields;
    struct field field;
    if (response_field(response, BYTES("Content-Encoding"), &value) ||
        response_field(response, BYTES("Content-Range"), &value)) {
        return true;
    }
    if (response_field(response, BYTES("Cache-Control"), &value)) {
        return headers_list_has(value, BYTES("no-transform"));
    }
    while (fields_next(&common, &field)) {
        if (bytes_equal_nocase(field.name, BYTES("Cache-Control"))) {
            return headers_list_has(field.value, BYTES("no-transform"));
        }
    }
    return false;
}

/// Whether the answer says that it depends on Accept-Encoding: it does, unless there is no memory.
static bool set_vary(struct exchange *exchange)
{
    struct response *response = &exchange->response;
    struct bytes rest = response_fields(response);
    struct field field;
    while (fields_next(&rest, &field)) {
        if (bytes_equal_nocase(field.name, BYTES("Vary")) &&
            (headers_list_has(field.value, BYTES("Accept-Encoding")) ||
             bytes_equal(field.value, BYTES("*")))) {
            return true;
        }
    }
    return response_add_field(response, BYTES("Vary"), BYTES("Accept-Encoding")) == 0;
}

static enum content_coding best_coding(const struct exchange *exchange)
{
    struct buf field;
    enum content_coding best = CODING_PLAIN;
    buf_init(&field, request_block_size(exchange->request));
    if (request_joined_field(exchange->request, BYTES("Accept-Encoding"), &field)) {
        struct bytes accept = buf_bytes(&field);
        int gzip_quality = accept_encoding_quality(accept, BYTES("gzip"));
#ifdef LUNESSE_BROTLI
        int br_quality = accept_encoding_quality(accept, BYTES("br"));
#else
        int br_quality = 0;
#endif
        int best_quality = gzip_quality > br_quality ? gzip_quality : br_quality;
        bool is_wanted =
            best_quality > 0 && best_quality >= accept_encoding_quality(accept, BYTES("identity"));
        if (is_wanted) {
            best = gzip_quality > br_quality ? CODING_GZIP : CODING_BR;
        }
    }
    buf_reset(&field);
    return best;
}

/// Returns how many bytes were written to `out`; 0 when they do not fit, or there is no memory.
static size_t gzip(struct bytes content, char *out, size_t size_max)
{
    z_stream stream = {.next_in = (z_const Bytef *)content.at,
                       .avail_in = (uInt)content.len,
                       .next_out = (Bytef *)out,
                       .avail_out = (uInt)size_max};
    DCHECK(content.len <= UINT32_MAX && size_max <= UINT32_MAX);
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    bool is_whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    size_t size = is_whole ? size_max - stream.avail_out : 0;
    IGNORE(deflateEnd(&stream)); // it complains of what was left out, which is known
    return size;
}

#ifdef LUNESSE_BROTLI
static size_t brotli(struct bytes content, char *out, size_t size_max)
{
    size_t size = size_max;
    bool is_whole =
        BrotliEncoderCompress(BROTLI_LEVEL, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, content.len,
                              (const uint8_t *)content.at, &size, (uint8_t *)out) == BROTLI_TRUE;
    return is_whole ? size : 0;
}
#else
/// Never called: `best_coding` does not choose it.
static size_t brotli(struct bytes content, char *out, size_t size_max)
{
    (void)content;
    (void)out;
    (void)size_max;
    return 0;
}
#endif
