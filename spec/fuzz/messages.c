// SPDX-License-Identifier: MIT
#include "messages.h"

#include "base/check.h"

#include <stdint.h>

/// A position in the text. Every reader moves it behind what it read, or returns false.
struct place {
    const char *at;
    const char *end;
};

static bool read_text(struct place *place, const char *text);
static size_t read_while(struct place *place, bool (*is_wanted)(unsigned char byte));
static bool read_fields(struct place *place);
static bool read_request_line(struct place *place);
static bool read_chunk_size(struct place *place, uint64_t *size);
static bool read_extensions(struct place *place);
static bool read_extension_value(struct place *place);
static bool is_token(unsigned char byte);
static bool is_visible(unsigned char byte);
static bool is_value(unsigned char byte);
static bool is_blank(unsigned char byte);
static bool is_quoted_text(unsigned char byte);
static bool is_hex(unsigned char byte);

size_t messages_head_len(struct bytes text)
{
    struct place place = {text.at, text.at + text.len};
    for (int i = 0; i < 8 && read_text(&place, "\r\n"); i++) {
        // an empty line
    }
    if (!read_request_line(&place) || !read_fields(&place)) {
        return 0;
    }
    return (size_t)(place.at - text.at);
}

size_t messages_chunks_len(struct bytes text, struct buf *data)
{
    struct place place = {text.at, text.at + text.len};
    for (;;) {
        uint64_t size;
        if (!read_chunk_size(&place, &size) || !read_extensions(&place) ||
            !read_text(&place, "\r\n")) {
            return 0;
        }
        if (size == 0) {
            return read_fields(&place) ? (size_t)(place.at - text.at) : 0;
        }
        if (size > (size_t)(place.end - place.at)) {
            return 0;
        }
        messages_put(data, bytes_of(place.at, (size_t)size));
        place.at += size;
        if (!read_text(&place, "\r\n")) {
            return 0;
        }
    }
}

void messages_put(struct buf *buf, struct bytes bytes)
{
    if (bytes.len > 0) {
        CHECK(buf_append(buf, bytes));
    }
}

static bool read_text(struct place *place, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(place->end - place->at) < len || memcmp(place->at, text, len) != 0) {
        return false;
    }
    place->at += len;
    return true;
}

static size_t read_while(struct place *place, bool (*is_wanted)(unsigned char byte))
{
    const char *start = place->at;
    while (place->at < place->end && is_wanted((unsigned char)*place->at)) {
        place->at++;
    }
    return (size_t)(place->at - start);
}

/// Field lines and the empty line behind them.
static bool read_fields(struct place *place)
{
    while (!read_text(place, "\r\n")) {
        bool is_field = read_while(place, is_token) > 0 && read_text(place, ":");
        (void)read_while(place, is_value);
        if (!is_field || !read_text(place, "\r\n")) {
            return false;
        }
    }
    return true;
}

static bool read_request_line(struct place *place)
{
    return read_while(place, is_token) > 0 && read_text(place, " ") &&
           read_while(place, is_visible) > 0 &&
           (read_text(place, " HTTP/1.1\r\n") || read_text(place, " HTTP/1.0\r\n"));
}

static bool read_chunk_size(struct place *place, uint64_t *size)
{
    const char *digit = place->at;
    unsigned __int128 sum = 0;
    if (read_while(place, is_hex) == 0) {
        return false;
    }
    for (; digit < place->at; digit++) {
        int value = *digit <= '9' ? *digit - '0' : (*digit | 0x20) - 'a' + 10;
        sum = sum * 16 + (unsigned)value;
        if (sum > UINT64_MAX) {
            return false;
        }
    }
    *size = (uint64_t)sum;
    return true;
}

/// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
static bool read_extensions(struct place *place)
{
    for (;;) {
        struct place next = *place;
        (void)read_while(&next, is_blank);
        if (!read_text(&next, ";")) {
            return true;
        }
        (void)read_while(&next, is_blank);
        if (read_while(&next, is_token) == 0) {
            return false;
        }
        *place = next;
        (void)read_while(&next, is_blank);
        if (read_text(&next, "=")) {
            (void)read_while(&next, is_blank);
            if (!read_extension_value(&next)) {
                return false;
            }
            *place = next;
        }
    }
}

static bool read_extension_value(struct place *place)
{
    if (!read_text(place, "\"")) {
        return read_while(place, is_token) > 0;
    }
    while (!read_text(place, "\"")) {
        if (read_text(place, "\\")) {
            if (place->at == place->end || !is_value((unsigned char)*place->at)) {
                return false;
            }
            place->at++;
        } else if (read_while(place, is_quoted_text) == 0) {
            return false;
        }
    }
    return true;
}

static bool is_token(unsigned char byte)
{
    return is_visible(byte) && strchr("\"(),/:;<=>?@[\\]{}", byte) == NULL;
}

static bool is_visible(unsigned char byte)
{
    return byte >= 0x21 && byte <= 0x7e;
}

static bool is_value(unsigned char byte)
{
    return is_visible(byte) || is_blank(byte) || byte >= 0x80;
}

static bool is_blank(unsigned char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_quoted_text(unsigned char byte)
{
    return is_value(byte) && byte != '"' && byte != '\\';
}

static bool is_hex(unsigned char byte)
{
    return byte != 0 && strchr("0123456789abcdefABCDEF", byte) != NULL;
}
