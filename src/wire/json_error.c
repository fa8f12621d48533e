// SPDX-License-Identifier: MIT
#include "wire/json_error.h"

#include "base/check.h"

#include <assert.h>

#define TEXT(name, text) text,
static const char *const texts[] = {JSON_ERRORS(TEXT)};

static_assert(JSON_ERROR_FIRST < -4095, "the numbers are none of the kernel's");

const char *json_error_text(int error)
{
    CHECK(error <= JSON_ERROR_FIRST && error > JSON_ERROR_FIRST - JSON_ERROR_COUNT);
    return texts[JSON_ERROR_FIRST - error];
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
