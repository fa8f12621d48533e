// SPDX-License-Identifier: MIT
//
// Which characters a string of JSON must escape, and how (RFC 8259, section 7). The file is on this
// floor because the log writes JSON too; whole strings are written by `wire/json_string.h`. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_ESCAPE_LEN_MAX = 6 };

/// Whether an octet of a string stands for itself: all but quotes, backslashes and controls.
static inline bool json_is_plain(char octet)
{
    return (unsigned char)octet >= ' ' && octet != '"' && octet != '\\';
}

/// Writes the escape of a character below U+10000 to `out`, which has JSON_ESCAPE_LEN_MAX bytes:
/// a backslash and a letter where JSON has one, \u and four digits otherwise. Returns how many.
size_t json_write_escape(uint32_t character, char *out);
