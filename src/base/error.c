// SPDX-License-Identifier: MIT
#include "base/error.h"

#include "base/check.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const char *const texts[] = {
#define ERROR_TEXT(name, text) text,
    ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
};

static_assert(ERROR_OURS < -4096, "the last errno is 4095, and libuv adds one more");

const char *error_text(int error)
{
    CHECK(error < 0);
    if (error >= ERROR_OURS) {
        return strerror(-error);
    }
    size_t index = (size_t)(ERROR_OURS - 1 - error);
    CHECK(index < sizeof(texts) / sizeof(texts[0]));
    return texts[index];
}
