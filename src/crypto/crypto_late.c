// SPDX-License-Identifier: MIT
#include "crypto/crypto_late.h"

#include <stddef.h>

struct crypto_functions libcrypto;

static const char *const names[] = {
#define CRYPTO_NAME(name) #name,
    CRYPTO_FUNCTIONS(CRYPTO_NAME)
#undef CRYPTO_NAME
        NULL,
};

static struct late_library library = LATE_LIBRARY("libcrypto.so.3", "libssl3", names, &libcrypto);

int crypto_late_load(char why[LATE_WHY_BYTES])
{
    return late_load(&library, why);
}
