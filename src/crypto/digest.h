// SPDX-License-Identifier: MIT
//
// Digests of bytes, and HMAC (RFC 2104) with each, by libcrypto. Plain functions; any thread may
// call them.
#pragma once

#include "base/bytes.h"

enum { DIGEST_BYTES_MAX = 64 };

enum digest_algorithm { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };

/// What an algorithm makes of bytes.
struct digest {
    char at[DIGEST_BYTES_MAX];
    size_t len;
};

/// The name of algorithm number `index`, such as "sha256"; NULL after the last.
const char *digest_name(size_t index);

/// Computes the digest of `text`. Returns 0, or -ENOTSUP when libcrypto is told by its
/// configuration not to.
MUST_USE int digest_hash(enum digest_algorithm algorithm, struct bytes text, struct digest *digest);

/// Does the same with a key, which may be empty: HMAC.
MUST_USE int digest_hmac(enum digest_algorithm algorithm, struct bytes key, struct bytes text,
                         struct digest *digest);
