// SPDX-License-Identifier: MIT
//
// What can be wrong with a JSON text, and where.
#pragma once

#include "base/bytes.h"

#include <stddef.h>

enum json_error {
    JSON_EXPECTED_VALUE = -1,
    JSON_EXPECTED_KEY = -2,
    JSON_EXPECTED_COLON = -3,
    JSON_EXPECTED_ITEM_END = -4,   // a comma or the end of the array
    JSON_EXPECTED_MEMBER_END = -5, // a comma or the end of the object
    JSON_EXPECTED_END = -6,
    JSON_EXPECTED_DIGIT = -7,
    JSON_EXPECTED_ESCAPE = -8,
    JSON_EXPECTED_QUOTE = -9,
    JSON_CONTROL = -10,
    JSON_NOT_UTF8 = -11,
    JSON_LONE_SURROGATE = -12,
    JSON_NUMBER_TOO_LARGE = -13,
    JSON_TOO_DEEP = -14,
};

/// What is wrong, as a sentence that "at line 1, column 6" completes.
const char *json_error_text(int error);

/// A position in a text, both from 1. Lines end with LF; a column is a character, not a byte.
struct json_position {
    size_t line;
    size_t column;
};

/// The position of the byte `at`, which may be behind the last.
struct json_position json_position(struct bytes text, size_t at);
