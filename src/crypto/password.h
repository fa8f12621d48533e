// SPDX-License-Identifier: MIT
//
// Hashes of passwords by scrypt (RFC 7914), and the text in which they are stored:
//
//     $scrypt$ln=15,r=8,p=3$<salt>$<hash>        both in base64 without padding
//
// It is the format of PHC strings, which passlib and others read and write too. The parameters
// stand in the text, so those of today may change and older texts are still verified.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

enum {
    PASSWORD_SALT_BYTES = 16,
    PASSWORD_SALT_MAX = 64,
    PASSWORD_KEY_BYTES = 32,
    PASSWORD_KEY_MAX = 64,
    PASSWORD_TEXT_MAX = 256,
};

/// What stands in the text. By value; owns nothing.
struct password_hash {
    unsigned ln; // the binary logarithm of N: memory is 128 * r * 2^ln bytes
    unsigned r;
    unsigned p;
    size_t salt_len;
    size_t key_len;
    char salt[PASSWORD_SALT_MAX];
    char key[PASSWORD_KEY_MAX];
};

/// Prepares a hash with the parameters of today and a salt by chance (`secret_fill`). The key is
/// not there yet.
void password_prepare(struct password_hash *hash);

/// Computes the key that belongs to the password, with the parameters and the salt of `hash`. Takes
/// a fifth of a second and 32 MiB with those of today. Returns 0, or -ENOMEM.
MUST_USE int password_derive(struct bytes password, const struct password_hash *hash,
                             char key[PASSWORD_KEY_MAX]);

/// Writes the text. Returns its length; there is no NUL behind it.
size_t password_format(const struct password_hash *hash, char out[PASSWORD_TEXT_MAX]);

/// Reads a text. Returns 0, or -EINVAL for what is no such text, or asks for more than 128 MiB or
/// for `p` above 16.
MUST_USE int password_parse(struct bytes text, struct password_hash *hash);

/// Whether a new hash would be made with other parameters than this one.
bool password_is_outdated(const struct password_hash *hash);
