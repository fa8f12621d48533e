// SPDX-License-Identifier: MIT
//
// Numbers as digits, decimal and hexadecimal, without a format string, because numbers are written
// with every response and every event.
#pragma once

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { DECIMAL_LEN_MAX = 20, HEX_LEN_MAX = 16 };

/// Writes `number` to `out`, which has DECIMAL_LEN_MAX bytes; returns how many. No NUL is written.
static inline size_t decimal_write(uint64_t number, char *out)
{
    char text[DECIMAL_LEN_MAX];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    DCHECK(at < sizeof(text));
    memcpy(out, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}

/// How many hexadecimal digits `number` has; 1 for 0.
static inline size_t hex_len(uint64_t number)
{
    size_t len = 1;
    while (number > 15) {
        number >>= 4;
        len++;
    }
    return len;
}

/// Writes `number` in lower-case hexadecimal to `out`, which has `hex_len` bytes; returns how many.
/// No NUL is written.
static inline size_t hex_write(uint64_t number, char *out)
{
    size_t len = hex_len(number);
    DCHECK(len <= HEX_LEN_MAX);
    for (size_t at = len; at > 0; number >>= 4) {
        out[--at] = "0123456789abcdef"[number & 15];
    }
    return len;
}
