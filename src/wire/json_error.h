// SPDX-License-Identifier: MIT
//
// What can be wrong with a JSON text, and where.
#pragma once

#include "base/bytes.h"

#include <stddef.h>

/// Every mistake, with what is expected or wrong as a sentence that "at line 1, column 6"
/// completes. The numbers follow each other in this order, downwards from JSON_ERROR_FIRST, which
/// is below every errno: so a number has one meaning whichever of the two a function returns.
#define JSON_ERRORS(X)                                                                             \
    X(JSON_EXPECTED_VALUE, "expected a value")                                                     \
    X(JSON_EXPECTED_KEY, "expected a key in double quotes")                                        \
    X(JSON_EXPECTED_COLON, "expected ':'")                                                         \
    X(JSON_EXPECTED_ITEM_END, "expected ',' or ']'")                                               \
    X(JSON_EXPECTED_MEMBER_END, "expected ',' or '}'")                                             \
    X(JSON_EXPECTED_END, "expected the end of the text")                                           \
    X(JSON_EXPECTED_DIGIT, "expected a digit")                                                     \
    X(JSON_EXPECTED_ESCAPE, "expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000")           \
    X(JSON_EXPECTED_QUOTE, "expected the closing quote of the string")                             \
    X(JSON_CONTROL, "a control character in a string is not escaped")                              \
    X(JSON_NOT_UTF8, "a string is not UTF-8")                                                      \
    X(JSON_LONE_SURROGATE, "a surrogate without its partner is no character")                      \
    X(JSON_NUMBER_TOO_LARGE, "the number is beyond what a double holds")                           \
    X(JSON_TOO_DEEP, "arrays and objects are nested deeper than 128 levels")

enum { JSON_ERROR_FIRST = -10000 };

/// For the enum and the table of texts.
#define JSON_ERROR_PLACE(name, text) name##_PLACE,
#define JSON_ERROR_NUMBER(name, text) name = JSON_ERROR_FIRST - name##_PLACE,
enum json_error_place { JSON_ERRORS(JSON_ERROR_PLACE) JSON_ERROR_COUNT };
enum json_error { JSON_ERRORS(JSON_ERROR_NUMBER) };

/// The sentence of a mistake.
const char *json_error_text(int error);

/// A position in a text, both from 1. Lines end with LF; a column is a character, not a byte.
struct json_position {
    size_t line;
    size_t column;
};

/// The position of the byte `at`, which may be behind the last.
struct json_position json_position(struct bytes text, size_t at);
