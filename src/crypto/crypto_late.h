// SPDX-License-Identifier: MIT
//
// libcrypto, which is loaded when a script first uses `lunesse.crypto` or what stands on it
// (base/late.h). Its functions are called as `libcrypto.RAND_bytes()`, by the other files of this
// floor, and each stands in the list below. Nothing of this floor may be called before
// `crypto_late_load` has returned 0, on this thread or on the one that gave the work to it.
#pragma once

#include "base/late.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>

/// All functions of libcrypto that are used.
#define CRYPTO_FUNCTIONS(X)                                                                        \
    X(BN_bin2bn)                                                                                   \
    X(BN_free)                                                                                     \
    X(BN_is_odd)                                                                                   \
    X(BN_is_one)                                                                                   \
    X(BN_num_bits)                                                                                 \
    X(CRYPTO_memcmp)                                                                               \
    X(ECDSA_SIG_free)                                                                              \
    X(ECDSA_SIG_new)                                                                               \
    X(ECDSA_SIG_set0)                                                                              \
    X(ERR_clear_error)                                                                             \
    X(EVP_DecodeBlock)                                                                             \
    X(EVP_DigestVerify)                                                                            \
    X(EVP_DigestVerifyInit_ex)                                                                     \
    X(EVP_EncodeBlock)                                                                             \
    X(EVP_MD_CTX_free)                                                                             \
    X(EVP_MD_CTX_new)                                                                              \
    X(EVP_PBE_scrypt)                                                                              \
    X(EVP_PKEY_CTX_free)                                                                           \
    X(EVP_PKEY_CTX_new_from_name)                                                                  \
    X(EVP_PKEY_CTX_new_from_pkey)                                                                  \
    X(EVP_PKEY_free)                                                                               \
    X(EVP_PKEY_fromdata)                                                                           \
    X(EVP_PKEY_fromdata_init)                                                                      \
    X(EVP_PKEY_new_raw_public_key_ex)                                                              \
    X(EVP_PKEY_public_check)                                                                       \
    X(EVP_Q_digest)                                                                                \
    X(EVP_Q_mac)                                                                                   \
    X(i2d_ECDSA_SIG)                                                                               \
    X(OPENSSL_cleanse)                                                                             \
    X(OPENSSL_thread_stop)                                                                         \
    X(OSSL_PARAM_BLD_free)                                                                         \
    X(OSSL_PARAM_BLD_new)                                                                          \
    X(OSSL_PARAM_BLD_push_BN)                                                                      \
    X(OSSL_PARAM_BLD_to_param)                                                                     \
    X(OSSL_PARAM_construct_end)                                                                    \
    X(OSSL_PARAM_construct_octet_string)                                                           \
    X(OSSL_PARAM_construct_utf8_string)                                                            \
    X(OSSL_PARAM_free)                                                                             \
    X(RAND_bytes)

struct crypto_functions {
#define CRYPTO_MEMBER(name) __typeof__(&name) name;
    CRYPTO_FUNCTIONS(CRYPTO_MEMBER)
#undef CRYPTO_MEMBER
};

extern struct crypto_functions libcrypto;

/// Loads libcrypto. Returns 0 or -ELIBACC with the reason; see `late_load`.
MUST_USE int crypto_late_load(char why[LATE_WHY_BYTES]);
