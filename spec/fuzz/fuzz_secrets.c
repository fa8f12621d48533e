// SPDX-License-Identifier: MIT
// What peers and stores send back of secrets: base64 in three forms, and hashes of passwords. A
// text that is taken is written the same again, and any bytes come back from their text. Input: a
// form, and the text.
#include "fuzz.h"

#include "base/mem.h"
#include "crypto/base64.h"
#include "crypto/crypto_late.h"
#include "crypto/password.h"

static void check_text(struct bytes text, enum base64_form form);
static void check_data(struct bytes data, enum base64_form form);
static void check_hash(struct bytes text);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    char why[LATE_WHY_BYTES];
    CHECK(crypto_late_load(why) == 0);
    struct bytes text = bytes_of((const char *)at, len);
    enum base64_form form = (enum base64_form)(fuzz_byte(&text) % (BASE64_URL + 1));
    check_text(text, form);
    check_data(text, form);
    check_hash(text);
    return 0;
}

static void check_text(struct bytes text, enum base64_form form)
{
    char *data = mem_alloc(text.len + 1);
    char *again = mem_alloc(base64_room(text.len));
    size_t len;
    if (base64_decode(text, form, data, &len) == 0) {
        CHECK(len <= text.len);
        CHECK(bytes_equal(bytes_of(again, base64_encode(bytes_of(data, len), form, again)), text));
    }
    mem_free(data);
    mem_free(again);
}

static void check_data(struct bytes data, enum base64_form form)
{
    char *text = mem_alloc(base64_room(data.len));
    char *again = mem_alloc(base64_room(data.len));
    size_t text_len = base64_encode(data, form, text);
    size_t len;
    CHECK(text_len <= base64_room(data.len));
    CHECK(base64_decode(bytes_of(text, text_len), form, again, &len) == 0);
    CHECK(bytes_equal(bytes_of(again, len), data));
    mem_free(text);
    mem_free(again);
}

static void check_hash(struct bytes text)
{
    struct password_hash hash;
    char again[PASSWORD_TEXT_MAX];
    if (password_parse(text, &hash) == 0) {
        CHECK(hash.salt_len >= 8 && hash.salt_len <= PASSWORD_SALT_MAX);
        CHECK(hash.key_len >= 16 && hash.key_len <= PASSWORD_KEY_MAX);
        CHECK(bytes_equal(bytes_of(again, password_format(&hash, again)), text));
    }
}
