// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/error.h"
#include "wire/json_keys.h"
#include "wire/json_number.h"
#include "wire/json_position.h"
#include "wire/json_reader.h"
#include "wire/json_string.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bytes written(double number)
{
    static char text[JSON_NUMBER_LEN_MAX];
    return bytes_of(text, json_double_write(number, text));
}

static double read_double(const char *text)
{
    struct json_number number;
    size_t at = 0;
    EXPECT_INT(json_number_read(bytes_from_string(text), &at, &number), 0);
    EXPECT_INT(at, strlen(text));
    EXPECT(number.form != JSON_DIGITS);
    return number.form == JSON_INTEGER ? (double)number.integer : number.number;
}

static int failure_of(const char *text, size_t *at)
{
    struct json_number number;
    *at = 0;
    return json_number_read(bytes_from_string(text), at, &number);
}

TEST(json_writes_the_shortest_digits_of_known_doubles)
{
    EXPECT_BYTES(written(0.1), BYTES("0.1"));
    EXPECT_BYTES(written(1.0 / 3), BYTES("0.3333333333333333"));
    EXPECT_BYTES(written(1234567.123456789), BYTES("1234567.123456789"));
    EXPECT_BYTES(written(5e-324), BYTES("5e-324"));
    EXPECT_BYTES(written(2.2250738585072014e-308), BYTES("2.2250738585072014e-308"));
    EXPECT_BYTES(written(1.7976931348623157e308), BYTES("1.7976931348623157e308"));
    EXPECT_BYTES(written(ldexp(1, 89)),
                 BYTES("6.189700196426902e26")); // one 17-digit text is nearer
    EXPECT_BYTES(written(9007199254740992.0), BYTES("9007199254740992"));
    EXPECT_BYTES(written(ldexp(1, 62)), BYTES("4611686018427387904"));
    EXPECT_BYTES(written(1e20), BYTES("100000000000000000000"));
    EXPECT_BYTES(written(1e21), BYTES("1e21"));
    EXPECT_BYTES(written(-1e-6), BYTES("-0.000001"));
    EXPECT_BYTES(written(1.5e-7), BYTES("1.5e-7"));
    EXPECT_BYTES(written(-0.0), BYTES("-0"));
    EXPECT_BYTES(written(3), BYTES("3"));
}

/// How many significant digits a text that the C library reads back needs.
static int digits_needed(double number)
{
    char text[40];
    for (int count = 1; count < 17; count++) {
        snprintf(text, sizeof(text), "%.*e", count - 1, number);
        if (strtod(text, NULL) == number) {
            return count;
        }
    }
    return 17;
}

static int significant_digits(const char *text)
{
    int count = 0;
    int zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        bool is_digit = *text >= '0' && *text <= '9';
        zeros = !is_digit ? zeros : *text != '0' ? 0 : count > 0 ? zeros + 1 : 0;
        count += is_digit && (count > 0 || *text != '0');
    }
    return count - zeros;
}

/// Every power of two with its neighbours, and many others. Whole numbers that fit are written with
/// all their digits.
TEST(json_doubles_read_back_as_themselves_with_no_digit_too_many)
{
    uint64_t seed = 88172645463325252u;
    for (uint64_t i = 1; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double number;
        uint64_t bits = i < 6140 ? (i / 3 << 52) + i % 3 - 1 : seed;
        memcpy(&number, &bits, sizeof(number));
        if (!isfinite(number)) {
            continue;
        }
        char text[JSON_NUMBER_LEN_MAX + 1];
        text[json_double_write(number, text)] = '\0';
        EXPECT(read_double(text) == number && strtod(text, NULL) == number);
        bool is_whole = fabs(number) < ldexp(1, 63) && floor(number) == number;
        EXPECT(is_whole || significant_digits(text) <= digits_needed(number));
    }
}

TEST(json_numbers_are_integers_however_they_are_spelt)
{
    static const char *const spelt[] = {"12", "12.0", "1.2e1", "120e-1", "0.12E+2", "12.000e0"};
    for (size_t i = 0; i < sizeof(spelt) / sizeof(spelt[0]); i++) {
        struct json_number number;
        size_t at = 0;
        EXPECT_INT(json_number_read(bytes_from_string(spelt[i]), &at, &number), 0);
        EXPECT(number.form == JSON_INTEGER);
        EXPECT_INT(number.integer, 12);
    }
    EXPECT(signbit(read_double("-0")) != 0);
    EXPECT(read_double("-9223372036854775808") == -ldexp(1, 63));
    EXPECT(read_double("1e-400") == 0);
    EXPECT(read_double("0e99999999999999999999999") == 0);
    EXPECT(read_double("123456789012345680000") == 123456789012345680000.0);
}

TEST(json_numbers_of_any_length_are_rounded_rightly)
{
    char text[2000];
    memset(text, '0', sizeof(text));
    memcpy(text, "0.", 2);
    memcpy(text + 1500, "123e1498", 9);
    EXPECT(read_double(text) == 0.123);
    // halfway between two doubles, and then one digit more, far beyond those that are kept
    memset(text, '0', sizeof(text));
    memcpy(text, "9007199254740993.0", 18);
    text[1500] = '1';
    text[1501] = '\0';
    EXPECT(read_double(text) == 9007199254740994.0);
    text[1500] = '0';
    EXPECT(read_double(text) == 9007199254740992.0);
}

TEST(json_integers_that_neither_form_gives_back_are_their_digits)
{
    static const char *const texts[] = {"18446744073709551615", "-9223372036854775809",
                                        "9223372036854775808", "618970019642690137449562112"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct json_number number;
        size_t at = 0;
        EXPECT_INT(json_number_read(bytes_from_string(texts[i]), &at, &number), 0);
        EXPECT_INT(at, strlen(texts[i]));
        EXPECT_INT(number.form, JSON_DIGITS);
        EXPECT_BYTES(number.digits, bytes_from_string(texts[i]));
    }
}

TEST(json_numbers_that_would_be_another_are_refused)
{
    size_t at;
    EXPECT_INT(failure_of("1e400", &at), JSON_NUMBER_TOO_LARGE);
    EXPECT_INT(failure_of("-1e309", &at), JSON_NUMBER_TOO_LARGE);
    EXPECT_INT(at, 0);
    EXPECT_INT(failure_of("1.", &at), JSON_EXPECTED_DIGIT);
    EXPECT_INT(at, 2);
    EXPECT_INT(failure_of("1e+", &at), JSON_EXPECTED_DIGIT);
    EXPECT_INT(at, 3);
    EXPECT_INT(failure_of("-", &at), JSON_EXPECTED_DIGIT);
    EXPECT_INT(at, 1);
}

TEST(json_strings_are_cut_anywhere_when_they_are_written)
{
    struct bytes whole = BYTES("a\"\\\b\f\n\r\t\x01\x7f/\xc3\xa9 plain text that is longer");
    struct bytes wanted =
        BYTES("a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f/\xc3\xa9 plain text that is longer");
    for (size_t size = JSON_ESCAPE_LEN_MAX; size < 80; size++) {
        char out[200];
        char meaning[200];
        size_t len = 0;
        size_t judged_len = 0;
        bool has_escapes = false;
        struct bytes rest = whole;
        while (rest.len > 0) {
            len += json_escape(&rest, out + len, size);
        }
        EXPECT_BYTES(bytes_of(out, len), wanted);
        EXPECT_BYTES(bytes_of(meaning, json_unescape(wanted, meaning)), whole);
        out[len++] = '"';
        EXPECT_INT(json_string_scan(bytes_of(out, len), &judged_len, &has_escapes), 0);
        EXPECT_INT(judged_len, len - 1);
        EXPECT(has_escapes);
    }
}

/// At every place of a word of eight bytes.
TEST(json_strings_are_judged_at_every_place)
{
    static const struct {
        struct bytes text;
        int failure;
    } mistakes[] = {{{"\n", 1}, JSON_CONTROL},
                    {{"\\x", 2}, JSON_EXPECTED_ESCAPE},
                    {{"\\u12g4", 6}, JSON_EXPECTED_ESCAPE},
                    {{"\\ud800x", 7}, JSON_LONE_SURROGATE},
                    {{"\\udc00", 6}, JSON_LONE_SURROGATE},
                    {{"\xff", 1}, JSON_NOT_UTF8},
                    {{"", 0}, JSON_EXPECTED_QUOTE}};
    for (size_t before = 0; before < 20; before++) {
        for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
            char text[64];
            size_t len = 0;
            bool has_escapes;
            memset(text, 'x', sizeof(text));
            memcpy(text + before, mistakes[i].text.at, mistakes[i].text.len);
            size_t end = before + mistakes[i].text.len;
            text[end] = '"';
            struct bytes all = bytes_of(text, mistakes[i].text.len == 0 ? end : end + 1);
            EXPECT_INT(json_string_scan(all, &len, &has_escapes), mistakes[i].failure);
            EXPECT_INT(len, before);
        }
    }
}

TEST(json_keys_come_in_the_order_of_their_bytes)
{
    static const struct bytes sorted[] = {
        {"", 0},         {"\0", 1}, {"\0\0", 2},     {"B", 1},         {"a", 1},
        {"a\0", 2},      {"aa", 2}, {"aaaaaaaa", 8}, {"aaaaaaaaa", 9}, {"aaaaaaaab", 9},
        {"aaaaaaab", 8}, {"b", 1},  {"\xc3\xa9", 2}, {"\xff", 1},
    };
    enum { COUNT = sizeof(sorted) / sizeof(sorted[0]) };
    for (size_t turn = 0; turn < COUNT; turn++) {
        struct json_key keys[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            size_t from = (i * 5 + turn) % COUNT; // 5 and 14 have no divisor in common
            keys[i] = json_key_of(sorted[from], (int64_t)from);
        }
        for (size_t at = COUNT / 2; at > 0; at--) {
            json_keys_settle(keys, COUNT, at);
        }
        for (size_t i = 0; i < COUNT; i++) {
            EXPECT_INT(json_keys_take(keys, COUNT - i).tag, i);
        }
    }
}

TEST(json_places_count_lines_and_characters)
{
    struct bytes text = BYTES("{\n\"\xc3\xa9\xf0\x9f\x98\x80\": x");
    struct json_position place = json_position(text, text.len - 1);
    EXPECT_INT(place.line, 2);
    EXPECT_INT(place.column, 7);
    EXPECT_INT(json_position(text, 0).column, 1);
    EXPECT_INT(json_position(text, text.len).column, 8);
}
