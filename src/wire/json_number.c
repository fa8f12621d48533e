// SPDX-License-Identifier: MIT
//
// Reading: the text is split into sign, whole, fraction and exponent. Whole numbers that fit 64
// bits are added up; everything else becomes a decimal, of which the nearest double is found,
// exactly by one multiplication or division where the number is short, otherwise by the C library.
//
// Writing: the fewest digits that read back as the same double are looked for, first among
// fractions with few digits, then with 15, 16 and 17 digits. Neither way depends on the locale.
#include "wire/json_number.h"

#include "base/decimal.h"
#include "base/error.h"
#include "wire/octet.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DIGITS_KEPT = 800,   // at most 767 digits decide how a decimal is rounded, and one for the rest
    DIGITS_EXACT = 15,   // a decimal of so many digits always comes back from a double
    DIGITS_ENOUGH = 17,  // every double comes back from so many digits
    POWER_EXACT = 22,    // 10^22 is the largest power of ten that is a double
    EXPONENT_MAX = 9999, // beyond this every number is 0 or infinite
    PLAIN_MAX = 21,      // larger numbers are written with an exponent, as JavaScript does
    PLAIN_MIN = -6,
};

static const double powers[POWER_EXACT + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static_assert((int)JSON_NUMBER_LEN_MAX > (int)DECIMAL_LEN_MAX,
              "a sign and the digits of an integer");
static_assert(JSON_NUMBER_LEN_MAX >= 1 + 2 - PLAIN_MIN + DIGITS_ENOUGH, "-0.000000 and digits");

static const double integer_bound = 9223372036854775808.0; // 2^63

/// The parts of a number's text: indices into it.
struct parts {
    struct bytes whole;    // digits before the point
    struct bytes fraction; // digits behind it
    int64_t exponent;      // bounded
    bool is_negative;
    bool is_plain; // neither fraction nor exponent
};

/// A decimal: 0.d1 d2 d3 ... times ten to the power of `point`; d1 is not 0. 0 has no digits.
struct decimal {
    char digits[DIGITS_KEPT + 1];
    size_t len;
    int64_t point;
};

static int choose_form(const struct parts *parts, struct json_number *number);
static bool comes_back(const struct decimal *decimal, double magnitude);
static size_t skip_digits(struct bytes text, size_t at);
static int split(struct bytes text, size_t *at, struct parts *parts);
static int split_exponent(struct bytes text, size_t *at, struct parts *parts);
static bool fits_integer(const struct parts *parts, int64_t *integer);
static void gather(const struct parts *parts, struct decimal *decimal);
static void add_digits(struct decimal *decimal, struct bytes digits);
static double nearest(const struct decimal *decimal);
static uint64_t value_of(const struct decimal *decimal);
static void shorten(double magnitude, struct decimal *decimal);
static bool shorten_quickly(double magnitude, struct decimal *decimal);
static void print(double magnitude, int digit_count, struct decimal *decimal);
static void step_up(struct decimal *decimal);
static void trim(struct decimal *decimal);
static size_t lay_out(const struct decimal *decimal, char *out);
static size_t lay_out_exponent(const struct decimal *decimal, char *out);

int json_number_read(struct bytes text, size_t *at, struct json_number *number)
{
    DCHECK(*at < text.len && (text.at[*at] == '-' || octet_is(text.at[*at], OCTET_DIGIT)));
    struct parts parts;
    size_t end = *at;
    int failure = split(text, &end, &parts);
    DCHECK(end >= *at && end <= text.len);
    if (failure != 0) {
        *at = end;
        return failure;
    }
    number->form = JSON_INTEGER;
    if (!parts.is_plain || !fits_integer(&parts, &number->integer)) {
        number->digits = bytes_of(text.at + *at, end - *at);
        failure = choose_form(&parts, number);
    }
    *at = failure == 0 ? end : *at;
    return failure;
}

size_t json_integer_write(int64_t integer, char *out)
{
    size_t sign = integer < 0 ? 1 : 0;
    out[0] = '-';
    uint64_t magnitude = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    return sign + decimal_write(magnitude, out + sign);
}

/// A whole number that fits is written with all its digits: fewer, and zeros, would read back as
/// another integer.
size_t json_double_write(double number, char *out)
{
    DCHECK(isfinite(number));
    size_t sign = signbit(number) ? 1 : 0;
    double magnitude = fabs(number);
    out[0] = '-';
    if (magnitude < integer_bound && floor(magnitude) == magnitude) {
        return sign + decimal_write((uint64_t)magnitude, out + sign);
    }
    struct decimal decimal;
    shorten(magnitude, &decimal);
    size_t len = sign + lay_out(&decimal, out + sign);
    DCHECK(len <= JSON_NUMBER_LEN_MAX);
    return len;
}

/// Chooses the form of a number that is no plain 64-bit integer. -0 is a double, because no integer
/// keeps its sign.
static int choose_form(const struct parts *parts, struct json_number *number)
{
    struct decimal decimal;
    gather(parts, &decimal);
    double magnitude = nearest(&decimal);
    if (parts->is_plain && !comes_back(&decimal, magnitude)) {
        number->form = JSON_DIGITS;
        return 0;
    }
    if (isinf(magnitude)) {
        return JSON_NUMBER_TOO_LARGE;
    }
    bool is_whole = magnitude < integer_bound && floor(magnitude) == magnitude;
    bool is_minus_zero = magnitude == 0 && parts->is_negative;
    number->number = parts->is_negative ? -magnitude : magnitude;
    number->form = is_whole && !is_minus_zero ? JSON_INTEGER : JSON_DOUBLE;
    number->integer = number->form == JSON_INTEGER ? (int64_t)number->number : 0;
    return 0;
}

/// Whether the double that is nearest to the decimal is written as the same digits again.
static bool comes_back(const struct decimal *decimal, double magnitude)
{
    struct decimal shortest;
    if (magnitude == 0 || isinf(magnitude)) {
        return magnitude == 0;
    }
    shorten(magnitude, &shortest);
    return shortest.len == decimal->len && shortest.point == decimal->point &&
           memcmp(shortest.digits, decimal->digits, decimal->len) == 0;
}

static size_t skip_digits(struct bytes text, size_t at)
{
    while (at < text.len && octet_is(text.at[at], OCTET_DIGIT)) {
        at++;
    }
    return at;
}

/// number = [ minus ] int [ frac ] [ exp ]
static int split(struct bytes text, size_t *at, struct parts *parts)
{
    *parts = (struct parts){.is_plain = true, .fraction = BYTES("")};
    if (text.at[*at] == '-') {
        parts->is_negative = true;
        (*at)++;
    }
    size_t start = *at;
    bool is_zero = start < text.len && text.at[start] == '0';
    *at = is_zero ? start + 1 : skip_digits(text, start); // nothing follows a leading zero
    if (*at == start) {
        return JSON_EXPECTED_DIGIT;
    }
    parts->whole = bytes_of(text.at + start, *at - start);
    if (*at < text.len && text.at[*at] == '.') {
        start = ++*at;
        *at = skip_digits(text, start);
        if (*at == start) {
            return JSON_EXPECTED_DIGIT;
        }
        parts->fraction = bytes_of(text.at + start, *at - start);
        parts->is_plain = false;
    }
    return split_exponent(text, at, parts);
}

static int split_exponent(struct bytes text, size_t *at, struct parts *parts)
{
    static const int64_t bound = 1000000000000; // beyond what any number of digits makes up for
    if (*at == text.len || (text.at[*at] != 'e' && text.at[*at] != 'E')) {
        return 0;
    }
    (*at)++;
    bool is_negative = *at < text.len && text.at[*at] == '-';
    if (*at < text.len && (text.at[*at] == '-' || text.at[*at] == '+')) {
        (*at)++;
    }
    size_t end = skip_digits(text, *at);
    if (end == *at) {
        return JSON_EXPECTED_DIGIT;
    }
    for (; *at < end; (*at)++) {
        if (parts->exponent < bound) {
            parts->exponent = parts->exponent * 10 + (text.at[*at] - '0');
        }
    }
    parts->exponent = is_negative ? -parts->exponent : parts->exponent;
    parts->is_plain = false;
    return 0;
}

/// Whether the number is a 64-bit integer. -0 is not: no integer keeps its sign.
static bool fits_integer(const struct parts *parts, int64_t *integer)
{
    uint64_t max = parts->is_negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t magnitude = 0;
    if (parts->whole.len > 19) {
        return false;
    }
    for (size_t i = 0; i < parts->whole.len; i++) {
        magnitude = magnitude * 10 + (uint64_t)(parts->whole.at[i] - '0'); // 19 digits fit
    }
    if (magnitude > max || (magnitude == 0 && parts->is_negative)) {
        return false;
    }
    *integer = (int64_t)(parts->is_negative ? -magnitude : magnitude);
    return true;
}

static void gather(const struct parts *parts, struct decimal *decimal)
{
    decimal->len = 0;
    decimal->point = parts->exponent + (int64_t)parts->whole.len;
    add_digits(decimal, parts->whole);
    add_digits(decimal, parts->fraction);
    trim(decimal);
    DCHECK(decimal->len == 0 || decimal->digits[0] != '0');
}

/// Adds digits. Beyond DIGITS_KEPT it only matters whether a digit is not 0: such a one is kept as
/// a final 1, which rounds up.
static void add_digits(struct decimal *decimal, struct bytes digits)
{
    for (size_t i = 0; i < digits.len; i++) {
        char digit = digits.at[i];
        if (decimal->len == 0 && digit == '0') {
            decimal->point--;
        } else if (decimal->len < DIGITS_KEPT) {
            decimal->digits[decimal->len++] = digit;
        } else if (digit != '0') {
            decimal->digits[DIGITS_KEPT - 1] = '1';
        }
    }
}

/// The double that is nearest to the decimal. For short numbers both operands of the division or
/// multiplication are exact, so the result is rounded correctly; for others the C library does it.
static double nearest(const struct decimal *decimal)
{
    DCHECK(decimal->len <= DIGITS_KEPT);
    if (decimal->len == 0) {
        return 0;
    }
    int64_t power = decimal->point - (int64_t)decimal->len;
    if (decimal->len <= DIGITS_EXACT && power >= -POWER_EXACT && power <= POWER_EXACT) {
        double digits = (double)value_of(decimal);
        return power < 0 ? digits / powers[-power] : digits * powers[power];
    }
    char text[DIGITS_KEPT + 16];
    int exponent = power > EXPONENT_MAX    ? EXPONENT_MAX
                   : power < -EXPONENT_MAX ? -EXPONENT_MAX
                                           : (int)power;
    snprintf(text, sizeof(text), "%.*se%d", (int)decimal->len, decimal->digits, exponent);
    return strtod(text, NULL); // there is no decimal point, so the locale does not matter
}

static uint64_t value_of(const struct decimal *decimal)
{
    DCHECK(decimal->len <= DIGITS_EXACT);
    uint64_t value = 0;
    for (size_t i = 0; i < decimal->len; i++) {
        value = value * 10 + (uint64_t)(decimal->digits[i] - '0');
    }
    return value;
}

/// Finds the fewest digits that `nearest` turns into `magnitude` again. 15 digits come back from
/// every normal double, so fewer are not tried there. At a power of two the doubles below lie
/// closer than those above, so the nearest 16 digits may miss where the next larger ones do not.
static void shorten(double magnitude, struct decimal *decimal)
{
    DCHECK(magnitude > 0 && isfinite(magnitude));
    if (shorten_quickly(magnitude, decimal)) {
        return;
    }
    int exponent;
    bool is_power_of_two = frexp(magnitude, &exponent) == 0.5;
    int count = magnitude < DBL_MIN ? 1 : DIGITS_EXACT;
    for (; count <= DIGITS_ENOUGH; count++) {
        print(magnitude, count, decimal);
        if (nearest(decimal) == magnitude) {
            break;
        }
        if (is_power_of_two) {
            step_up(decimal);
            if (nearest(decimal) == magnitude) {
                break;
            }
        }
    }
    DCHECK(count <= DIGITS_ENOUGH);
    trim(decimal);
}

/// Tries the fractions that programs mostly write, those with few digits: the number times a power
/// of ten is a whole number, and that divided by the same power is the number again.
static bool shorten_quickly(double magnitude, struct decimal *decimal)
{
    for (int power = 1; power <= POWER_EXACT; power++) {
        double scaled = magnitude * powers[power];
        if (!(scaled < powers[DIGITS_EXACT])) {
            return false;
        }
        uint64_t whole = (uint64_t)(scaled + 0.5);
        if (whole > 0 && (double)whole / powers[power] == magnitude) {
            decimal->len = decimal_write(whole, decimal->digits);
            decimal->point = (int64_t)decimal->len - power;
            trim(decimal);
            return true;
        }
    }
    return false;
}

/// Prints `magnitude` with `digit_count` digits. Only digits are taken over, because the locale
/// decides which decimal point stands between them.
static void print(double magnitude, int digit_count, struct decimal *decimal)
{
    DCHECK(digit_count >= 1 && digit_count <= DIGITS_ENOUGH);
    char text[64];
    snprintf(text, sizeof(text), "%.*e", digit_count - 1, magnitude);
    const char *at = text;
    decimal->len = 0;
    for (; *at != 'e'; at++) {
        if (octet_is(*at, OCTET_DIGIT)) {
            decimal->digits[decimal->len++] = *at;
        }
    }
    DCHECK(decimal->len == (size_t)digit_count);
    decimal->point = strtol(at + 1, NULL, 10) + 1;
}

/// The next larger number of as many digits.
static void step_up(struct decimal *decimal)
{
    DCHECK(decimal->len > 0);
    size_t at = decimal->len;
    while (at > 0 && decimal->digits[at - 1] == '9') {
        decimal->digits[--at] = '0';
    }
    if (at == 0) {
        decimal->digits[0] = '1';
        decimal->point++;
    } else {
        decimal->digits[at - 1]++;
    }
}

static void trim(struct decimal *decimal)
{
    while (decimal->len > 0 && decimal->digits[decimal->len - 1] == '0') {
        decimal->len--;
    }
}

/// 0.00012, 1.5, 12300 or 1.2e-7
static size_t lay_out(const struct decimal *decimal, char *out)
{
    size_t len = decimal->len;
    DCHECK(len > 0 && len <= DIGITS_ENOUGH);
    if (decimal->point > PLAIN_MAX || decimal->point < PLAIN_MIN + 1) {
        return lay_out_exponent(decimal, out);
    }
    if (decimal->point <= 0) {
        size_t zeros = (size_t)-decimal->point;
        DCHECK(2 + zeros < sizeof("0.000000"));
        memcpy(out, "0.000000", 2 + zeros);
        memcpy(out + 2 + zeros, decimal->digits, len);
        return 2 + zeros + len;
    }
    size_t point = (size_t)decimal->point;
    if (point >= len) {
        memcpy(out, decimal->digits, len);
        memset(out + len, '0', point - len);
        return point;
    }
    memcpy(out, decimal->digits, point);
    out[point] = '.';
    memcpy(out + point + 1, decimal->digits + point, len - point);
    return len + 1;
}

static size_t lay_out_exponent(const struct decimal *decimal, char *out)
{
    DCHECK(decimal->len > 0);
    size_t len = 1;
    memcpy(out, decimal->digits, 1);
    if (decimal->len > 1) {
        out[1] = '.';
        memcpy(out + 2, decimal->digits + 1, decimal->len - 1);
        len = decimal->len + 1;
    }
    out[len++] = 'e';
    return len + json_integer_write(decimal->point - 1, out + len);
}
