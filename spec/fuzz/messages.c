// SPDX-License-Identifier: MIT
#include "messages.h"

#include "base/check.h"

#include <stdint.h>

/// A position in the text. Every reader moves it behind what it read, or returns false.
struct position {
    const char *at;
    const char *end;
};

static bool read_text(struct position *position, const char *text);
static size_t read_while(struct position *position, bool (*is_wanted)(unsigned char byte));
static bool read_fields(struct position *position);
static bool read_request_line(struct position *position);
static bool read_chunk_size(struct position *position, uint64_t *size);
static bool read_extensions(struct position *position);
static bool read_extension_value(struct position *position);
static bool is_token(unsigned char byte);
static bool is_visible(unsigned char byte);
static bool is_value(unsigned char byte);
static bool is_blank(unsigned char byte);
static bool is_quoted_text(unsigned char byte);
static bool is_hex(unsigned char byte);

size_t messages_head_len(struct bytes text)
{
    struct position position = {text.at, text.at + text.len};
    for (int i = 0; i < 8 && read_text(&position, "\r\n"); i++) {
        // an empty line
    }
    if (!read_request_line(&position) || !read_fields(&position)) {
        return 0;
    }
    return (size_t)(position.at - text.at);
}

size_t messages_chunks_len(struct bytes text, struct buf *data)
{
    struct position position = {text.at, text.at + text.len};
    for (;;) {
        uint64_t size;
        if (!read_chunk_size(&position, &size) || !read_extensions(&position) ||
            !read_text(&position, "\r\n")) {
            return 0;
        }
        if (size == 0) {
            return read_fields(&position) ? (size_t)(position.at - text.at) : 0;
        }
        if (size > (size_t)(position.end - position.at)) {
            return 0;
        }
        messages_put(data, bytes_of(position.at, (size_t)size));
        position.at += size;
        if (!read_text(&position, "\r\n")) {
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

static bool read_text(struct position *position, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(position->end - position->at) < len || memcmp(position->at, text, len) != 0) {
        return false;
    }
    position->at += len;
    return true;
}

static size_t read_while(struct position *position, bool (*is_wanted)(unsigned char byte))
{
    const char *start = position->at;
    while (position->at < position->end && is_wanted((unsigned char)*position->at)) {
        position->at++;
    }
    return (size_t)(position->at - start);
}

/// Field lines and the empty line behind them.
static bool read_fields(struct position *position)
{
    while (!read_text(position, "\r\n")) {
        bool is_field = read_while(position, is_token) > 0 && read_text(position, ":");
        (void)read_while(position, is_value);
        if (!is_field || !read_text(position, "\r\n")) {
            return false;
        }
    }
    return true;
}

static bool read_request_line(struct position *position)
{
    return read_while(position, is_token) > 0 && read_text(position, " ") &&
           read_while(position, is_visible) > 0 &&
           (read_text(position, " HTTP/1.1\r\n") || read_text(position, " HTTP/1.0\r\n"));
}

static bool read_chunk_size(struct position *position, uint64_t *size)
{
    const char *digit = position->at;
    unsigned __int128 sum = 0;
    if (read_while(position, is_hex) == 0) {
        return false;
    }
    for (; digit < position->at; digit++) {
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
static bool read_extensions(struct position *position)
{
    for (;;) {
        struct position next = *position;
        (void)read_while(&next, is_blank);
        if (!read_text(&next, ";")) {
            return true;
        }
        (void)read_while(&next, is_blank);
        if (read_while(&next, is_token) == 0) {
            return false;
        }
        *position = next;
        (void)read_while(&next, is_blank);
        if (read_text(&next, "=")) {
            (void)read_while(&next, is_blank);
            if (!read_extension_value(&next)) {
                return false;
            }
            *position = next;
        }
    }
}

static bool read_extension_value(struct position *position)
{
    if (!read_text(position, "\"")) {
        return read_while(position, is_token) > 0;
    }
    while (!read_text(position, "\"")) {
        if (read_text(position, "\\")) {
            if (position->at == position->end || !is_value((unsigned char)*position->at)) {
                return false;
            }
            position->at++;
        } else if (read_while(position, is_quoted_text) == 0) {
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
