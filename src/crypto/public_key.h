// SPDX-License-Identifier: MIT
//
// Public keys, and whether their owner has signed a text, by libcrypto. A key is made of the
// numbers that a JSON Web Key has (RFC 7518), and it has one algorithm, which no signature can
// change:
//
//     RS256   RSASSA-PKCS1-v1_5 with SHA-256; 2048 to 8192 bits
//     ES256   ECDSA on P-256 with SHA-256; the signature is r and s, 32 bytes each
//     EdDSA   Ed25519 (RFC 8032)
//
// A key belongs to whoever has its memory. Plain functions; any thread may call them, and several
// may verify with one key at once.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

struct evp_pkey_st;

enum key_algorithm { KEY_RS256, KEY_ES256, KEY_EDDSA };

struct public_key {
    enum key_algorithm algorithm;
    struct evp_pkey_st *_key; // NULL before `public_key_init` and after `public_key_deinit`
};

/// The name of algorithm number `index`, such as "RS256"; NULL after the last.
const char *key_algorithm_name(size_t index);

/// Makes a key of its numbers, the highest byte first: `n` and `e` for RS256, `x` and `y` for
/// ES256, `x` and nothing for EdDSA. Returns 0; or -EINVAL for what is no key, for RSA of another
/// size, and for whatever libcrypto is told by its configuration not to take. Then there is
/// nothing to end.
MUST_USE int public_key_init(struct public_key *key, enum key_algorithm algorithm,
                             struct bytes first, struct bytes second);

/// Gives the key back. It may be called again.
void public_key_deinit(struct public_key *key);

/// Whether the owner of the key has signed the text. Any other signature, of any length, is false,
/// and so is every one for a key that was given back.
bool public_key_verifies(const struct public_key *key, struct bytes text, struct bytes signature);
