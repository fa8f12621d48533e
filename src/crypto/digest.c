// SPDX-License-Identifier: MIT
#include "crypto/digest.h"

#include "crypto/crypto_late.h"

#include <assert.h>
#include <errno.h>

static int outcome(bool is_done, const struct digest *digest);

static const char *const names[] = {
    [DIGEST_SHA1] = "sha1",
    [DIGEST_SHA256] = "sha256",
    [DIGEST_SHA384] = "sha384",
    [DIGEST_SHA512] = "sha512",
};

static const size_t name_count = sizeof(names) / sizeof(names[0]);

static_assert(DIGEST_BYTES_MAX == EVP_MAX_MD_SIZE, "a digest has room for the longest");

const char *digest_name(size_t index)
{
    return index < name_count ? names[index] : NULL;
}

int digest_hash(enum digest_algorithm algorithm, struct bytes text, struct digest *digest)
{
    DCHECK((size_t)algorithm < name_count);
    bool is_done = libcrypto.EVP_Q_digest(NULL, names[algorithm], NULL, text.at, text.len,
                                          (unsigned char *)digest->at, &digest->len) == 1;
    return outcome(is_done, digest);
}

/// An empty key still needs an address: libcrypto takes NULL for no key at all.
int digest_hmac(enum digest_algorithm algorithm, struct bytes key, struct bytes text,
                struct digest *digest)
{
    DCHECK((size_t)algorithm < name_count);
    const char *key_at = key.len == 0 ? "" : key.at;
    const char *text_at = text.len == 0 ? "" : text.at;
    bool is_done =
        libcrypto.EVP_Q_mac(NULL, "HMAC", NULL, names[algorithm], NULL, key_at, key.len,
                            (const unsigned char *)text_at, text.len, (unsigned char *)digest->at,
                            sizeof(digest->at), &digest->len) != NULL;
    return outcome(is_done, digest);
}

/// What libcrypto has to say of a failure stands in a queue of the thread, where a later caller
/// would find it.
static int outcome(bool is_done, const struct digest *digest)
{
    if (!is_done) {
        libcrypto.ERR_clear_error();
        return -ENOTSUP;
    }
    CHECK(digest->len > 0 && digest->len <= sizeof(digest->at));
    return 0;
}
