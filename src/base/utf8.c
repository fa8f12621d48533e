// SPDX-License-Identifier: MIT
#include "base/utf8.h"

#include "base/check.h"

#include <stdint.h>

static size_t skip_ascii(struct bytes text, size_t at);
static size_t sequence_len(const unsigned char *at, size_t len, bool *is_whole);

size_t utf8_valid_prefix(struct bytes text)
{
    size_t at = skip_ascii(text, 0);
    while (at < text.len) {
        bool is_whole;
        size_t len = sequence_len((const unsigned char *)text.at + at, text.len - at, &is_whole);
        if (!is_whole) {
            return at;
        }
        at = skip_ascii(text, at + len);
    }
    DCHECK(at == text.len);
    return at;
}

size_t utf8_invalid_len(struct bytes text)
{
    DCHECK(text.len > 0);
    bool is_whole;
    size_t len = sequence_len((const unsigned char *)text.at, text.len, &is_whole);
    DCHECK(!is_whole && len <= 3);
    return len;
}

size_t utf8_partial_len(struct bytes text)
{
    const unsigned char *end = (const unsigned char *)text.at + text.len;
    for (size_t len = 1; len <= 3 && len <= text.len && end[-(ptrdiff_t)len] >= 0x80; len++) {
        unsigned char first = end[-(ptrdiff_t)len];
        if (first >= 0xc0) {
            bool is_whole;
            bool is_lead = first >= 0xc2 && first <= 0xf4;
            bool reaches_end = sequence_len(end - len, len, &is_whole) == len;
            return is_lead && reaches_end && !is_whole ? len : 0;
        }
    }
    return 0;
}

/// The first place from `at` on that is not ASCII, or the length of `text`.
static size_t skip_ascii(struct bytes text, size_t at)
{
    DCHECK(at <= text.len);
    uint64_t word = 0;
    while (text.len - at >= sizeof(word)) {
        memcpy(&word, text.at + at, sizeof(word));
        if ((word & UINT64_C(0x8080808080808080)) != 0) {
            break;
        }
        at += sizeof(word);
    }
    while (at < text.len && (unsigned char)text.at[at] < 0x80) {
        at++;
    }
    return at;
}

/// Length of the sequence at the front of `len` bytes, of which the first is not ASCII: a whole
/// one, or the maximal part of one, which is what a single U+FFFD stands for. The second byte alone
/// has bounds that depend on the first: they keep out overlong forms, surrogates and what is beyond
/// U+10FFFF.
static size_t sequence_len(const unsigned char *at, size_t len, bool *is_whole)
{
    DCHECK(len > 0 && at[0] >= 0x80);
    unsigned char first = at[0];
    *is_whole = false;
    if (first < 0xc2 || first > 0xf4) {
        return 1;
    }
    size_t wanted = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (len < 2 || at[1] < low || at[1] > high) {
        return 1;
    }
    size_t seen = 2;
    while (seen < wanted && seen < len && (at[seen] & 0xc0) == 0x80) {
        seen++;
    }
    *is_whole = seen == wanted;
    DCHECK(seen >= 2 && seen <= 4 && seen <= len);
    return seen;
}
