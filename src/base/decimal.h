// SPDX-License-Identifier: MIT
//
// Numbers as decimal digits, without a format string: for what is written with every response.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { DECIMAL_LEN_MAX = 20 };

/// Writes `number` to `out`, which has DECIMAL_LEN_MAX bytes; returns how many. No NUL is written.
static inline size_t decimal_write(uint64_t number, char *out)
{
    char text[DECIMAL_LEN_MAX];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(out, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}
