// SPDX-License-Identifier: MIT
#include "crypto/public_key.h"

#include "base/check.h"
#include "crypto/crypto_late.h"

#include <errno.h>
#include <string.h>

enum {
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192, // so that a key costs at most a millisecond a signature
    RSA_EXPONENT_BYTES_MAX = 4,
    COORDINATE_BYTES = 32, // of P-256 and of Ed25519
    ES256_DER_MAX = 80,    // two numbers of 33 bytes, with their heads
};

static EVP_PKEY *new_rsa(struct bytes n, struct bytes e);
static EVP_PKEY *new_p256(struct bytes x, struct bytes y);
static EVP_PKEY *new_ed25519(struct bytes x);
static EVP_PKEY *new_of(const char *type, OSSL_PARAM *params);
static bool is_good_rsa(const BIGNUM *n, const BIGNUM *e);
static bool is_good_point(EVP_PKEY *key);
static size_t der_of(struct bytes raw, unsigned char der[ES256_DER_MAX]);

static const char *const names[] = {
    [KEY_RS256] = "RS256",
    [KEY_ES256] = "ES256",
    [KEY_EDDSA] = "EdDSA",
};

static const size_t name_count = sizeof(names) / sizeof(names[0]);

const char *key_algorithm_name(size_t index)
{
    return index < name_count ? names[index] : NULL;
}

int public_key_init(struct public_key *key, enum key_algorithm algorithm, struct bytes first,
                    struct bytes second)
{
    DCHECK((size_t)algorithm < name_count);
    key->algorithm = algorithm;
    switch (algorithm) {
    case KEY_RS256:
        key->_key = new_rsa(first, second);
        break;
    case KEY_ES256:
        key->_key = new_p256(first, second);
        break;
    case KEY_EDDSA:
        key->_key = new_ed25519(first);
        break;
    }
    libcrypto.ERR_clear_error();
    return key->_key == NULL ? -EINVAL : 0;
}

void public_key_deinit(struct public_key *key)
{
    libcrypto.EVP_PKEY_free(key->_key);
    key->_key = NULL;
}

bool public_key_verifies(const struct public_key *key, struct bytes text, struct bytes signature)
{
    unsigned char der[ES256_DER_MAX];
    const unsigned char *at = (const unsigned char *)signature.at;
    size_t len = signature.len;
    if (key->algorithm == KEY_ES256) {
        at = der;
        len = der_of(signature, der);
    }
    EVP_MD_CTX *work = libcrypto.EVP_MD_CTX_new();
    const char *digest = key->algorithm == KEY_EDDSA ? NULL : "SHA256";
    const char *text_at = text.len == 0 ? "" : text.at;
    bool is_right =
        work != NULL && key->_key != NULL && len > 0 &&
        libcrypto.EVP_DigestVerifyInit_ex(work, NULL, digest, NULL, NULL, key->_key, NULL) == 1 &&
        libcrypto.EVP_DigestVerify(work, at, len, (const unsigned char *)text_at, text.len) == 1;
    libcrypto.EVP_MD_CTX_free(work);
    libcrypto
        .ERR_clear_error(); // a wrong signature leaves a record, which a later caller would find
    return is_right;
}

static EVP_PKEY *new_rsa(struct bytes n, struct bytes e)
{
    if (n.len > RSA_BITS_MAX / 8 + 1 || e.len > RSA_EXPONENT_BYTES_MAX) {
        return NULL;
    }
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *build = libcrypto.OSSL_PARAM_BLD_new();
    BIGNUM *modulus = libcrypto.BN_bin2bn((const unsigned char *)n.at, (int)n.len, NULL);
    BIGNUM *exponent = libcrypto.BN_bin2bn((const unsigned char *)e.at, (int)e.len, NULL);
    if (build != NULL && modulus != NULL && exponent != NULL && is_good_rsa(modulus, exponent) &&
        libcrypto.OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        libcrypto.OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
        params = libcrypto.OSSL_PARAM_BLD_to_param(build);
        key = params == NULL ? NULL : new_of("RSA", params);
    }
    libcrypto.OSSL_PARAM_free(params);
    libcrypto.OSSL_PARAM_BLD_free(build);
    libcrypto.BN_free(modulus);
    libcrypto.BN_free(exponent);
    return key;
}

/// The point comes as libcrypto reads it: a 4, x and y.
static EVP_PKEY *new_p256(struct bytes x, struct bytes y)
{
    char group[] = "prime256v1";
    char point[1 + 2 * COORDINATE_BYTES] = {4};
    if (x.len != COORDINATE_BYTES || y.len != COORDINATE_BYTES) {
        return NULL;
    }
    memcpy(point + 1, x.at, COORDINATE_BYTES);
    memcpy(point + 1 + COORDINATE_BYTES, y.at, COORDINATE_BYTES);
    OSSL_PARAM params[] = {
        libcrypto.OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        libcrypto.OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        libcrypto.OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = new_of("EC", params);
    if (key != NULL && !is_good_point(key)) {
        libcrypto.EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

static EVP_PKEY *new_ed25519(struct bytes x)
{
    if (x.len != COORDINATE_BYTES) {
        return NULL;
    }
    return libcrypto.EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL,
                                                    (const unsigned char *)x.at, x.len);
}

static EVP_PKEY *new_of(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *work = libcrypto.EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (work == NULL || libcrypto.EVP_PKEY_fromdata_init(work) != 1 ||
        libcrypto.EVP_PKEY_fromdata(work, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    libcrypto.EVP_PKEY_CTX_free(work);
    return key;
}

/// An even modulus or exponent is no key, and with the exponent 1 everybody could sign.
static bool is_good_rsa(const BIGNUM *n, const BIGNUM *e)
{
    int bits = libcrypto.BN_num_bits(n);
    return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX && libcrypto.BN_is_odd(n) &&
           libcrypto.BN_is_odd(e) && !libcrypto.BN_is_one(e);
}

/// Whether the point is on the curve.
static bool is_good_point(EVP_PKEY *key)
{
    EVP_PKEY_CTX *work = libcrypto.EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool is_good = work != NULL && libcrypto.EVP_PKEY_public_check(work) == 1;
    libcrypto.EVP_PKEY_CTX_free(work);
    return is_good;
}

/// Writes r and s as libcrypto reads them, in DER. Returns the length; 0 for a text that is not
/// twice 32 bytes.
static size_t der_of(struct bytes raw, unsigned char der[ES256_DER_MAX])
{
    if (raw.len != 2 * (size_t)COORDINATE_BYTES) {
        return 0;
    }
    const unsigned char *at = (const unsigned char *)raw.at;
    ECDSA_SIG *pair = libcrypto.ECDSA_SIG_new();
    BIGNUM *r = libcrypto.BN_bin2bn(at, COORDINATE_BYTES, NULL);
    BIGNUM *s = libcrypto.BN_bin2bn(at + COORDINATE_BYTES, COORDINATE_BYTES, NULL);
    if (pair == NULL || r == NULL || s == NULL || libcrypto.ECDSA_SIG_set0(pair, r, s) != 1) {
        libcrypto.BN_free(r);
        libcrypto.BN_free(s);
        libcrypto.ECDSA_SIG_free(pair);
        return 0;
    }
    int len = libcrypto.i2d_ECDSA_SIG(pair, &der);
    libcrypto.ECDSA_SIG_free(pair); // with r and s, which are its own now
    CHECK(len <= ES256_DER_MAX);
    return len < 0 ? 0 : (size_t)len;
}
