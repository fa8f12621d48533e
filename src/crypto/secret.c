// SPDX-License-Identifier: MIT
#include "crypto/secret.h"

#include "base/environment.h"
#include "crypto/crypto_late.h"

#include <limits.h>

void secret_fill(void *at, size_t size)
{
    DCHECK(size <= INT_MAX);
    if (environment_is_still(environment_here)) {
        environment_fill(at, size);
        return;
    }
    CHECK(libcrypto.RAND_bytes(at, (int)size) == 1);
}

bool secret_equals(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || libcrypto.CRYPTO_memcmp(a.at, b.at, a.len) == 0);
}

void secret_overwrite(void *at, size_t size)
{
    DCHECK(at != NULL || size == 0);
    libcrypto.OPENSSL_cleanse(at, size);
}
