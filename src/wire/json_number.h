// SPDX-License-Identifier: MIT
//
// Numbers of JSON (RFC 8259, section 6): text to value and value to text, so that what was written
// reads back as the same number. A number without a fraction that fits 64 bits is an integer,
// however it is spelt (`3`, `3.0`, `3e0`); any other number is the nearest double. An integer that
// neither form gives back is kept as its digits. A number with an exponent or a fraction that is
// beyond the doubles is refused. Pure; the locale does not matter.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

enum json_number_form { JSON_INTEGER, JSON_DOUBLE, JSON_DIGITS };

struct json_number {
    enum json_number_form form;
    int64_t integer;     // JSON_INTEGER
    double number;       // JSON_DOUBLE
    struct bytes digits; // JSON_DIGITS: with the sign, as they stand in the text
};

enum { JSON_NUMBER_LEN_MAX = 32 };

/// Reads the number that begins at `*at`, where a minus sign or a digit stands. Returns 0, and
/// `*at` is behind the number; or JSON_EXPECTED_DIGIT with `*at` where the digit is missing, or
/// JSON_NUMBER_TOO_LARGE with `*at` unchanged.
MUST_USE int json_number_read(struct bytes text, size_t *at, struct json_number *number);

/// Writes an integer to `out`, which has JSON_NUMBER_LEN_MAX bytes; returns how many.
size_t json_integer_write(int64_t integer, char *out);

/// Writes a finite double likewise, with the fewest digits that read back as the same number. A
/// whole number is written without a fraction, so that readers which have integers read an integer.
size_t json_double_write(double number, char *out);
