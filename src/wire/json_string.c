// SPDX-License-Identifier: MIT
//
// Scanning and copying are two passes. `json_string_scan` finds the closing quote and checks the
// text on the way; then the reader knows how long the string is and whether it has escapes. One
// without escapes is taken as it lies; otherwise `json_unescape` writes it out.
#include "wire/json_string.h"

#include "base/error.h"
#include "base/utf8.h"
#include "wire/octet.h"

#include <stdint.h>

enum {
    UNIT_LEN = 6, // \u0000
    SURROGATE_HIGH = 0xd800,
    SURROGATE_LOW = 0xdc00,
    SURROGATE_END = 0xe000,
};

static size_t plain_len(struct bytes text, size_t at);
static int scan_escape(struct bytes text, size_t *at);
static int scan_unit(struct bytes text, size_t *at);
static bool read_unit(struct bytes text, size_t at, uint32_t *unit);
static char meaning_of(char escape);
static size_t unescape_unit(struct bytes text, size_t *at, char *out);
static size_t write_utf8(uint32_t point, char *out);

int json_string_scan(struct bytes text, size_t *len, bool *has_escapes)
{
    *len = 0;
    *has_escapes = false;
    for (;;) {
        *len += plain_len(text, *len);
        if (*len == text.len) {
            return JSON_EXPECTED_QUOTE;
        }
        if (text.at[*len] == '"') {
            break;
        }
        if (text.at[*len] != '\\') {
            return JSON_CONTROL;
        }
        *has_escapes = true;
        int failure = scan_escape(text, len);
        if (failure != 0) {
            return failure;
        }
    }
    size_t valid_len = utf8_valid_prefix(bytes_of(text.at, *len));
    int failure = valid_len == *len ? 0 : JSON_NOT_UTF8;
    DCHECK(valid_len <= *len);
    *len = valid_len;
    return failure;
}

size_t json_unescape(struct bytes text, char *out)
{
    size_t len = 0;
    size_t at = 0;
    while (at < text.len) {
        DCHECK(len <= at && (text.at[at] != '\\' || at + 1 < text.len));
        if (text.at[at] != '\\') {
            const char *escape = memchr(text.at + at, '\\', text.len - at);
            size_t plain = escape == NULL ? text.len - at : (size_t)(escape - text.at) - at;
            memcpy(out + len, text.at + at, plain);
            len += plain;
            at += plain;
        } else if (text.at[at + 1] == 'u') {
            len += unescape_unit(text, &at, out + len);
        } else {
            out[len++] = meaning_of(text.at[at + 1]);
            at += 2;
        }
    }
    DCHECK(at == text.len && len <= text.len);
    return len;
}

size_t json_escape(struct bytes *rest, char *out, size_t size)
{
    DCHECK(size >= JSON_ESCAPE_LEN_MAX);
    size_t len = 0;
    while (rest->len > 0 && size - len >= JSON_ESCAPE_LEN_MAX) {
        size_t room = size - len;
        struct bytes front = bytes_of(rest->at, rest->len < room ? rest->len : room);
        size_t plain = plain_len(front, 0);
        if (plain == 0) {
            len += json_write_escape((unsigned char)front.at[0], out + len);
            plain = 1;
        } else {
            memcpy(out + len, front.at, plain);
            len += plain;
        }
        *rest = bytes_skip(*rest, plain);
        DCHECK(len <= size);
    }
    return len;
}

/// How many bytes from `at` on stand for themselves: all but quotes, backslashes and controls.
/// Eight are looked at together. Each of the three tests sets the top bit of an ASCII byte that it
/// finds, and perhaps of some behind it, so the word is then looked at byte by byte.
static size_t plain_len(struct bytes text, size_t at)
{
    static const uint64_t ones = UINT64_C(0x0101010101010101);
    static const uint64_t tops = UINT64_C(0x8080808080808080);
    size_t start = at;
    uint64_t word;
    if (at < text.len && !json_is_plain(text.at[at])) {
        return 0; // as between two escapes
    }
    while (text.len - at >= sizeof(word)) {
        memcpy(&word, text.at + at, sizeof(word));
        uint64_t quote = (word ^ ones * '"') - ones;
        uint64_t backslash = (word ^ ones * '\\') - ones;
        uint64_t control = word - ones * ' ';
        if (((quote | backslash | control) & ~word & tops) != 0) {
            break;
        }
        at += sizeof(word);
    }
    while (at < text.len && json_is_plain(text.at[at])) {
        at++;
    }
    return at - start;
}

/// Passes the escape at the backslash `*at`.
static int scan_escape(struct bytes text, size_t *at)
{
    DCHECK(*at < text.len && text.at[*at] == '\\');
    char escape = text.len - *at >= 2 ? text.at[*at + 1] : '\0';
    if (escape == 'u') {
        return scan_unit(text, at);
    }
    if (meaning_of(escape) == '\0') {
        return JSON_EXPECTED_ESCAPE;
    }
    *at += 2;
    return 0;
}

/// Passes a `\u` escape. Two surrogates are one character; one surrogate alone is refused.
static int scan_unit(struct bytes text, size_t *at)
{
    uint32_t unit;
    if (!read_unit(text, *at, &unit)) {
        return JSON_EXPECTED_ESCAPE;
    }
    if (unit < SURROGATE_HIGH || unit >= SURROGATE_END) {
        *at += UNIT_LEN;
        return 0;
    }
    uint32_t low;
    bool is_pair = unit < SURROGATE_LOW && read_unit(text, *at + UNIT_LEN, &low) &&
                   low >= SURROGATE_LOW && low < SURROGATE_END;
    *at += is_pair ? 2 * UNIT_LEN : 0;
    return is_pair ? 0 : JSON_LONE_SURROGATE;
}

static bool read_unit(struct bytes text, size_t at, uint32_t *unit)
{
    *unit = 0;
    if (at > text.len || text.len - at < UNIT_LEN || text.at[at] != '\\' ||
        text.at[at + 1] != 'u') {
        return false;
    }
    for (size_t i = 2; i < UNIT_LEN; i++) {
        if (!octet_is(text.at[at + i], OCTET_HEX)) {
            return false;
        }
        *unit = *unit << 4 | octet_hex_value(text.at[at + i]);
    }
    return true;
}

/// The character that an escape of one letter stands for; 0 for any other letter.
static char meaning_of(char escape)
{
    switch (escape) {
    case '"':
    case '\\':
    case '/':
        return escape;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return '\0';
    }
}

static size_t unescape_unit(struct bytes text, size_t *at, char *out)
{
    uint32_t point = 0;
    uint32_t low = 0;
    IGNORE(read_unit(text, *at, &point)); // it was judged
    *at += UNIT_LEN;
    if (point >= SURROGATE_HIGH && point < SURROGATE_LOW) {
        IGNORE(read_unit(text, *at, &low)); // likewise
        *at += UNIT_LEN;
        DCHECK(low >= SURROGATE_LOW && low < SURROGATE_END);
        point = 0x10000 + ((point - SURROGATE_HIGH) << 10) + (low - SURROGATE_LOW);
    }
    return write_utf8(point, out);
}

static size_t write_utf8(uint32_t point, char *out)
{
    DCHECK(point < 0x110000 && (point < SURROGATE_HIGH || point >= SURROGATE_END));
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = (char)((0xf00U >> len & 0xf0) | point);
    return len;
}
