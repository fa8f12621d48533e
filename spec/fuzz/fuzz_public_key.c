// SPDX-License-Identifier: MIT
// What strangers send to be verified: signatures, of any length, for keys that are known; and keys,
// which come from an issuer. No signature of theirs is right, and a key that is taken can be asked.
// Input: an algorithm, the length of the key's first number, and both numbers; and the same bytes
// once more as the signature.
#include "fuzz.h"

#include "crypto/base64.h"
#include "crypto/crypto_late.h"
#include "crypto/public_key.h"

enum { NUMBER_MAX = 64 };

static void check_known(struct bytes signature);
static void check_any(enum key_algorithm algorithm, struct bytes first, struct bytes second);
static void open_known(struct public_key *key, enum key_algorithm algorithm, const char *x,
                       const char *y);
static struct bytes decoded(const char *text, char out[NUMBER_MAX]);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    char why[LATE_WHY_BYTES];
    CHECK(crypto_late_load(why) == 0);
    struct bytes input = bytes_of((const char *)at, len);
    check_known(input);
    enum key_algorithm algorithm = (enum key_algorithm)(fuzz_byte(&input) % (KEY_EDDSA + 1));
    size_t first = (size_t)fuzz_byte(&input) * 4; // up to 1020 bytes
    first = first < input.len ? first : input.len;
    check_any(algorithm, bytes_of(input.at, first), bytes_of(input.at + first, input.len - first));
    return 0;
}

/// The keys of RFC 7515 (A.3) and RFC 8037 (A.2).
static void check_known(struct bytes signature)
{
    struct public_key key;
    open_known(&key, KEY_ES256, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
               "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    CHECK(!public_key_verifies(&key, BYTES("a text"), signature));
    public_key_deinit(&key);
    open_known(&key, KEY_EDDSA, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "");
    CHECK(!public_key_verifies(&key, BYTES("a text"), signature));
    public_key_deinit(&key);
    CHECK(!public_key_verifies(&key, BYTES("a text"), signature));
}

static void check_any(enum key_algorithm algorithm, struct bytes first, struct bytes second)
{
    struct public_key key;
    if (public_key_init(&key, algorithm, first, second) == 0) {
        (void)public_key_verifies(&key, second, first);
        (void)public_key_verifies(&key, first, BYTES(""));
        public_key_deinit(&key);
    }
}

static void open_known(struct public_key *key, enum key_algorithm algorithm, const char *x,
                       const char *y)
{
    char first[NUMBER_MAX];
    char second[NUMBER_MAX];
    CHECK(public_key_init(key, algorithm, decoded(x, first), decoded(y, second)) == 0);
}

static struct bytes decoded(const char *text, char out[NUMBER_MAX])
{
    size_t len;
    CHECK(base64_decode(bytes_from_string(text), BASE64_URL, out, &len) == 0);
    return bytes_of(out, len);
}
