// SPDX-License-Identifier: MIT
#include "crypto/password.h"

#include "crypto/base64.h"
#include "crypto/crypto_late.h"
#include "crypto/secret.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

// One of the settings of equal strength that OWASP's Password Storage Cheat Sheet names: the one
// with 32 MiB, since several workers may hash at once.
enum { LN = 15, R = 8, P = 3 };

enum {
    LN_MAX = 20,
    R_MAX = 32,
    P_MAX = 16,
    SALT_MIN = 8,
    KEY_MIN = 16,
    BLOCK_BYTES = 128, // of scrypt, for each r
};

static const uint64_t memory_max = UINT64_C(128) * 1024 * 1024;

static uint64_t memory_of(const struct password_hash *hash);
static bool take_text(struct bytes *rest, struct bytes text);
static bool take_number(struct bytes *rest, unsigned max, unsigned *number);
static bool take_parameters(struct bytes *rest, struct password_hash *hash);
static bool read_base64(struct bytes text, size_t max, char *out, size_t *len);

void password_prepare(struct password_hash *hash)
{
    *hash = (struct password_hash){
        .ln = LN, .r = R, .p = P, .salt_len = PASSWORD_SALT_BYTES, .key_len = PASSWORD_KEY_BYTES};
    secret_fill(hash->salt, hash->salt_len);
}

/// libcrypto asks for a little more than the algorithm's own memory, so it may have twice that. It
/// keeps a record of errors for each thread. A thread of the pool ends without telling it, so the
/// record is given back here.
int password_derive(struct bytes password, const struct password_hash *hash,
                    char key[PASSWORD_KEY_MAX])
{
    DCHECK(hash->key_len >= KEY_MIN && hash->key_len <= PASSWORD_KEY_MAX);
    const char *text = password.len == 0 ? "" : password.at;
    int is_made =
        libcrypto.EVP_PBE_scrypt(text, password.len, (const unsigned char *)hash->salt,
                                 hash->salt_len, UINT64_C(1) << hash->ln, hash->r, hash->p,
                                 2 * memory_of(hash), (unsigned char *)key, hash->key_len);
    libcrypto.OPENSSL_thread_stop();
    return is_made == 1 ? 0 : -ENOMEM;
}

size_t password_format(const struct password_hash *hash, char out[PASSWORD_TEXT_MAX])
{
    static_assert(64 + 2 * (PASSWORD_SALT_MAX / 3 * 4 + 4) <= PASSWORD_TEXT_MAX, "all of it fits");
    int len =
        snprintf(out, PASSWORD_TEXT_MAX, "$scrypt$ln=%u,r=%u,p=%u$", hash->ln, hash->r, hash->p);
    CHECK(len > 0 && len < 64);
    size_t end = (size_t)len;
    end += base64_encode(bytes_of(hash->salt, hash->salt_len), BASE64_BARE, out + end);
    out[end++] = '$';
    end += base64_encode(bytes_of(hash->key, hash->key_len), BASE64_BARE, out + end);
    DCHECK(end <= PASSWORD_TEXT_MAX);
    return end;
}

int password_parse(struct bytes text, struct password_hash *hash)
{
    *hash = (struct password_hash){0};
    struct bytes rest = text;
    if (!take_parameters(&rest, hash)) {
        return -EINVAL;
    }
    const char *end = rest.len == 0 ? NULL : memchr(rest.at, '$', rest.len);
    if (end == NULL) {
        return -EINVAL;
    }
    struct bytes salt = bytes_of(rest.at, (size_t)(end - rest.at));
    struct bytes key = bytes_skip(rest, salt.len + 1);
    bool is_read = read_base64(salt, PASSWORD_SALT_MAX, hash->salt, &hash->salt_len) &&
                   read_base64(key, PASSWORD_KEY_MAX, hash->key, &hash->key_len);
    return is_read && hash->salt_len >= SALT_MIN && hash->key_len >= KEY_MIN ? 0 : -EINVAL;
}

bool password_is_outdated(const struct password_hash *hash)
{
    return hash->ln != LN || hash->r != R || hash->p != P ||
           hash->salt_len != PASSWORD_SALT_BYTES || hash->key_len != PASSWORD_KEY_BYTES;
}

static uint64_t memory_of(const struct password_hash *hash)
{
    DCHECK(hash->ln <= LN_MAX && hash->r <= R_MAX);
    return (uint64_t)BLOCK_BYTES * hash->r * ((UINT64_C(1) << hash->ln) + hash->p);
}

/// Takes `$scrypt$ln=15,r=8,p=3$`.
static bool take_parameters(struct bytes *rest, struct password_hash *hash)
{
    return take_text(rest, BYTES("$scrypt$ln=")) && take_number(rest, LN_MAX, &hash->ln) &&
           take_text(rest, BYTES(",r=")) && take_number(rest, R_MAX, &hash->r) &&
           take_text(rest, BYTES(",p=")) && take_number(rest, P_MAX, &hash->p) &&
           take_text(rest, BYTES("$")) &&
           (uint64_t)hash->r << hash->ln <= memory_max / BLOCK_BYTES &&
           hash->ln < BLOCK_BYTES / 8 * hash->r; // RFC 7914, section 2
}

static bool take_text(struct bytes *rest, struct bytes text)
{
    if (!bytes_starts_with(*rest, text)) {
        return false;
    }
    *rest = bytes_skip(*rest, text.len);
    return true;
}

/// Takes a number from 1 to `max`, below 100, without a zero in front.
static bool take_number(struct bytes *rest, unsigned max, unsigned *number)
{
    DCHECK(max < 100);
    *number = 0;
    while (rest->len > 0 && rest->at[0] >= '0' && rest->at[0] <= '9' && *number < 10) {
        if (*number == 0 && rest->at[0] == '0') {
            return false;
        }
        *number = *number * 10 + (unsigned)(rest->at[0] - '0');
        *rest = bytes_skip(*rest, 1);
    }
    return *number > 0 && *number <= max;
}

static bool read_base64(struct bytes text, size_t max, char *out, size_t *len)
{
    char decoded[PASSWORD_TEXT_MAX];
    if (text.len > sizeof(decoded) || base64_decode(text, BASE64_BARE, decoded, len) != 0 ||
        *len > max) {
        return false;
    }
    memcpy(out, decoded, *len);
    return true;
}
