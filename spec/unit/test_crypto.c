// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/environment.h"
#include "crypto/base64.h"
#include "crypto/crypto_late.h"
#include "crypto/digest.h"
#include "crypto/password.h"
#include "crypto/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 1000 };

__attribute__((constructor)) static void load(void)
{
    char why[LATE_WHY_BYTES];
    CHECK(crypto_late_load(why) == 0);
}

static void expect_hex(const char *seen, size_t len, const char *wanted)
{
    char hex[2 * DIGEST_BYTES_MAX + 1] = "";
    EXPECT(len <= DIGEST_BYTES_MAX);
    for (size_t i = 0; i < len; i++) {
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)seen[i]);
    }
    EXPECT_BYTES(bytes_from_string(hex), bytes_from_string(wanted));
}

static void expect_digest(enum digest_algorithm algorithm, const char *wanted)
{
    struct digest digest;
    EXPECT_INT(digest_hash(algorithm, BYTES("abc"), &digest), 0);
    expect_hex(digest.at, digest.len, wanted);
}

TEST(the_examples_of_the_secure_hash_standard_have_its_digests)
{
    expect_digest(DIGEST_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect_digest(DIGEST_SHA256, "ba7816bf8f01cfea414140de5dae2223"
                                 "b00361a396177a9cb410ff61f20015ad");
    expect_digest(DIGEST_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
                                 "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
    expect_digest(DIGEST_SHA512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea2"
                                 "0a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
                                 "454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(hmac_is_that_of_its_rfc_and_takes_an_empty_key_and_an_empty_text)
{
    struct digest digest;
    // RFC 4231, section 4.3
    EXPECT_INT(
        digest_hmac(DIGEST_SHA256, BYTES("Jefe"), BYTES("what do ya want for nothing?"), &digest),
        0);
    expect_hex(digest.at, digest.len,
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_INT(
        digest_hmac(DIGEST_SHA256, (struct bytes){NULL, 0}, (struct bytes){NULL, 0}, &digest), 0);
    expect_hex(digest.at, digest.len,
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(base64_is_that_of_its_rfc)
{
    // RFC 4648, section 10
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char out[16];
        size_t len;
        struct bytes data = bytes_from_string(pairs[i][0]);
        struct bytes text = bytes_from_string(pairs[i][1]);
        EXPECT_BYTES(bytes_of(out, base64_encode(data, BASE64_PADDED, out)), text);
        EXPECT_INT(base64_decode(text, BASE64_PADDED, out, &len), 0);
        EXPECT_BYTES(bytes_of(out, len), data);
    }
}

TEST(base64_of_any_length_comes_back_in_each_form)
{
    char data[MOST];
    char text[MOST * 2];
    char again[MOST * 2];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (char)(i * 7 + i / 3);
    }
    for (int form = BASE64_PADDED; form <= BASE64_URL; form++) {
        for (size_t len = 0; len <= sizeof(data); len++) {
            size_t again_len;
            struct bytes bytes = bytes_of(data, len);
            size_t text_len = base64_encode(bytes, (enum base64_form)form, text);
            EXPECT(text_len <= base64_room(len));
            EXPECT(form == BASE64_PADDED || memchr(text, '=', text_len) == NULL);
            EXPECT(form != BASE64_URL || memchr(text, '+', text_len) == NULL);
            EXPECT_INT(
                base64_decode(bytes_of(text, text_len), (enum base64_form)form, again, &again_len),
                0);
            EXPECT_BYTES(bytes_of(again, again_len), bytes);
        }
    }
}

#define EXPECT_NOT(form, literal)                                                                  \
    EXPECT_INT(base64_decode(BYTES(literal), (form), out, &len), -EINVAL)

TEST(base64_has_one_spelling)
{
    char out[600];
    size_t len;
    EXPECT_NOT(BASE64_PADDED, "Zg");    // no padding
    EXPECT_NOT(BASE64_PADDED, "Zg=");   // too little
    EXPECT_NOT(BASE64_PADDED, "Zg==="); // too much
    EXPECT_NOT(BASE64_PADDED, "Zm9v====");
    EXPECT_NOT(BASE64_PADDED, "====");
    EXPECT_NOT(BASE64_PADDED, "=");
    EXPECT_NOT(BASE64_PADDED, "Zh==");     // bits that nobody wrote
    EXPECT_NOT(BASE64_PADDED, "Zg==Zg=="); // two texts
    EXPECT_NOT(BASE64_PADDED, " Zm9v");
    EXPECT_NOT(BASE64_PADDED, "Zm9v\n");
    EXPECT_NOT(BASE64_PADDED, "Zm\n9v");
    EXPECT_NOT(BASE64_PADDED, "Zm9\0");
    EXPECT_NOT(BASE64_PADDED, "Zm9-");
    EXPECT_NOT(BASE64_URL, "Zg==");
    EXPECT_NOT(BASE64_URL, "Z");
    EXPECT_NOT(BASE64_URL, "Zh");
    EXPECT_NOT(BASE64_URL, "Zm9+");
    EXPECT_NOT(BASE64_BARE, "Zm9_");
    EXPECT_NOT(BASE64_BARE, "Zm9vY");
    char text[512 + 4];
    memset(text, 'A', sizeof(text));
    memcpy(text + 252, "AA==", 4); // where one piece ends and the next begins
    EXPECT_INT(base64_decode(bytes_of(text, sizeof(text)), BASE64_PADDED, out, &len), -EINVAL);
}

TEST(secrets_are_compared_by_all_of_their_bytes)
{
    EXPECT(secret_equals(BYTES(""), BYTES("")));
    EXPECT(secret_equals(BYTES("a\0b"), BYTES("a\0b")));
    EXPECT(!secret_equals(BYTES("a\0b"), BYTES("a\0c")));
    EXPECT(!secret_equals(BYTES("ab"), BYTES("abc")));
    EXPECT(!secret_equals(BYTES("xbc"), BYTES("abc")));
}

TEST(random_bytes_differ_each_time_but_in_an_environment_that_stands_still)
{
    char one[32];
    char other[32];
    secret_fill(one, sizeof(one));
    secret_fill(other, sizeof(other));
    EXPECT(memcmp(one, other, sizeof(one)) != 0);
    for (int i = 0; i < 2; i++) {
        struct environment still;
        environment_init(&still, 0);
        struct environment *before = environment_enter(&still);
        secret_fill(i == 0 ? one : other, sizeof(one));
        environment_enter(before);
    }
    EXPECT(memcmp(one, other, sizeof(one)) == 0);
}

TEST(scrypt_is_that_of_its_rfc)
{
    // RFC 7914, section 12; the salt has the 14 bytes "SodiumChloride".
    char key[PASSWORD_KEY_MAX];
    struct password_hash hash;
    struct bytes text = BYTES("$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
                              "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylV"
                              "YT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw");
    EXPECT_INT(password_parse(text, &hash), 0);
    EXPECT(password_is_outdated(&hash));
    EXPECT_INT(password_derive(BYTES("pleaseletmein"), &hash, key), 0);
    expect_hex(key, hash.key_len,
               "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
               "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
    EXPECT_BYTES(bytes_of(key, sizeof(key)), bytes_of(hash.key, hash.key_len));
}

TEST(the_text_of_a_hash_comes_back_and_no_other_is_taken)
{
    struct password_hash hash;
    char text[PASSWORD_TEXT_MAX];
    password_prepare(&hash);
    memset(hash.key, 0xf0, hash.key_len);
    struct bytes good = bytes_of(text, password_format(&hash, text));
    struct password_hash again;
    EXPECT_INT(password_parse(good, &again), 0);
    EXPECT(!password_is_outdated(&again));
    EXPECT_BYTES(bytes_of(again.salt, again.salt_len), bytes_of(hash.salt, hash.salt_len));
    EXPECT_BYTES(bytes_of(again.key, again.key_len), bytes_of(hash.key, hash.key_len));
    for (size_t len = 0; len < good.len - 27; len++) { // what is cut has less than 16 bytes of key
        EXPECT_INT(password_parse(bytes_of(text, len), &again), -EINVAL);
    }
}

#define SALT_AND_KEY "$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"

TEST(a_hash_that_asks_for_too_much_or_makes_no_sense_is_not_taken)
{
    struct password_hash hash;
    EXPECT_INT(password_parse(BYTES("$scrypt$ln=17,r=8,p=16" SALT_AND_KEY), &hash), 0); // 128 MiB
    static const char *const bad[] = {
        "$scrypt$ln=18,r=8,p=1" SALT_AND_KEY,
        "$scrypt$ln=17,r=9,p=1" SALT_AND_KEY,
        "$scrypt$ln=17,r=8,p=17" SALT_AND_KEY,
        "$scrypt$ln=0,r=8,p=1" SALT_AND_KEY,
        "$scrypt$ln=15,r=0,p=1" SALT_AND_KEY,
        "$scrypt$ln=015,r=8,p=1" SALT_AND_KEY,
        "$scrypt$ln=150,r=8,p=1" SALT_AND_KEY,
        "$scrypt$ln=-1,r=8,p=1" SALT_AND_KEY,
        "$scrypt$ln=16,r=1,p=1" SALT_AND_KEY,
        "$scrypt$r=8,ln=15,p=1" SALT_AND_KEY,
        "$scrypt$ln=15,r=8,p=1$$",
        "$scrypt$ln=15,r=8,p=1$aM15713r3Xs",
        "$argon2id$v=19$m=1,t=1,p=1" SALT_AND_KEY,
        "$scrypt$ln=15,r=8,p=1" SALT_AND_KEY "$",
        "$scrypt$ln=15,r=8,p=1" SALT_AND_KEY "=",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_INT(password_parse(bytes_from_string(bad[i]), &hash), -EINVAL);
    }
}
