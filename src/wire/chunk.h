// SPDX-License-Identifier: MIT
//
// Writing the chunked transfer coding (RFC 9112, section 7.1). A chunk is the line of its size, its
// data and CHUNK_END; CHUNK_LAST ends the body. Pure.
#pragma once

#include "base/check.h"
#include "base/decimal.h"

#define CHUNK_END "\r\n"
#define CHUNK_LAST "0\r\n\r\n"

enum {
    CHUNK_END_LEN = sizeof(CHUNK_END) - 1,
    CHUNK_SIZE_LEN_MAX = HEX_LEN_MAX + 2, // of a size line: digits, CR and LF
};

/// How long the size line of a chunk of `size` bytes is.
static inline size_t chunk_size_len(size_t size)
{
    return hex_len(size) + 2;
}

/// Writes the size line of a chunk of `size` bytes to `at`, which has CHUNK_SIZE_LEN_MAX bytes, or
/// as many as `chunk_size_len` says. Returns the place behind it. `size` is not 0: a chunk without
/// data would end the body.
static inline char *chunk_put_size(char *at, size_t size)
{
    DCHECK(size > 0);
    char *end = at + hex_write(size, at);
    DCHECK((size_t)(end - at) + 2 == chunk_size_len(size));
    end[0] = '\r';
    end[1] = '\n';
    return end + 2;
}
