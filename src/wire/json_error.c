// SPDX-License-Identifier: MIT
#include "wire/json_error.h"

#include "base/check.h"

const char *json_error_text(int error)
{
    switch ((enum json_error)error) {
    case JSON_EXPECTED_VALUE:
        return "expected a value";
    case JSON_EXPECTED_KEY:
        return "expected a key in double quotes";
    case JSON_EXPECTED_COLON:
        return "expected ':'";
    case JSON_EXPECTED_ITEM_END:
        return "expected ',' or ']'";
    case JSON_EXPECTED_MEMBER_END:
        return "expected ',' or '}'";
    case JSON_EXPECTED_END:
        return "expected the end of the text";
    case JSON_EXPECTED_DIGIT:
        return "expected a digit";
    case JSON_EXPECTED_ESCAPE:
        return "expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000";
    case JSON_EXPECTED_QUOTE:
        return "expected the closing quote of the string";
    case JSON_CONTROL:
        return "a control character in a string is not escaped";
    case JSON_NOT_UTF8:
        return "a string is not UTF-8";
    case JSON_LONE_SURROGATE:
        return "a surrogate without its partner is no character";
    case JSON_NUMBER_TOO_LARGE:
        return "the number is beyond what a double holds";
    case JSON_TOO_DEEP:
        return "arrays and objects are nested deeper than 128 levels";
    }
    UNREACHABLE();
}

struct json_position json_position(struct bytes text, size_t at)
{
    struct json_position position = {.line = 1, .column = 1};
    for (size_t i = 0; i < at; i++) {
        bool is_continued = (text.at[i] & 0xc0) == 0x80;
        position.column += is_continued ? 0 : 1;
        if (text.at[i] == '\n') {
            position.line++;
            position.column = 1;
        }
    }
    return position;
}
