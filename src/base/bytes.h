// SPDX-License-Identifier: MIT
//
// A pointer and a length, passed by value. Bytes never own what they point at: the function that
// returns them says how long they live. They are not terminated by NUL and may contain it.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct bytes {
    const char *at;
    size_t len;
};

/// Bytes of a string literal.
#define BYTES(literal) ((struct bytes){"" literal, sizeof(literal) - 1})

static inline struct bytes bytes_of(const char *at, size_t len)
{
    DCHECK(len == 0 || at != NULL);
    return (struct bytes){at, len};
}

static inline struct bytes bytes_from_string(const char *string)
{
    DCHECK(string != NULL);
    return (struct bytes){string, strlen(string)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/// Equality that is blind to the case of ASCII letters.
static inline bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.at, b.at, a.len) == 0);
}

static inline bool bytes_starts_with(struct bytes whole, struct bytes start)
{
    return whole.len >= start.len && memcmp(whole.at, start.at, start.len) == 0;
}

/// `whole` without its first `count` bytes; `count` must not exceed its length.
static inline struct bytes bytes_skip(struct bytes whole, size_t count)
{
    DCHECK(count <= whole.len);
    return (struct bytes){whole.at + count, whole.len - count};
}

/// `whole` without spaces and tabs at both ends (OWS of RFC 9110, section 5.6.3).
static inline struct bytes bytes_trim(struct bytes whole)
{
    while (whole.len > 0 && (whole.at[0] == ' ' || whole.at[0] == '\t')) {
        whole = bytes_skip(whole, 1);
    }
    while (whole.len > 0 && (whole.at[whole.len - 1] == ' ' || whole.at[whole.len - 1] == '\t')) {
        whole.len--;
    }
    return whole;
}
