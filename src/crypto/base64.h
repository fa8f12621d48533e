// SPDX-License-Identifier: MIT
//
// Base64 (RFC 4648) by libcrypto. Plain functions; any thread may call them.
#pragma once

#include "base/bytes.h"

/// Which letters, and whether `=` fills up the last four.
enum base64_form {
    BASE64_PADDED, // section 4
    BASE64_BARE,   // the same without the padding
    BASE64_URL,    // section 5, without padding: `-` and `_` in the place of `+` and `/`
};

/// Room that `base64_encode` needs for `len` bytes.
static inline size_t base64_room(size_t len)
{
    return len / 3 * 4 + 4;
}

/// Writes `data` to `out`, which has `base64_room(data.len)` bytes. Returns how many it wrote.
size_t base64_encode(struct bytes data, enum base64_form form, char *out);

/// Writes the bytes that `text` stands for to `out`, which has `text.len` bytes, and their number
/// to `len`. Returns 0, or -EINVAL for any text that `base64_encode` does not make of these bytes:
/// there is one spelling for each, without white space.
MUST_USE int base64_decode(struct bytes text, enum base64_form form, char *out, size_t *len);
