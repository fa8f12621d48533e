// SPDX-License-Identifier: MIT
//
// What the fuzz targets share: reading structured input from a run of bytes. When the bytes are
// used up, numbers are 0 and texts are empty, so every input is an input.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static inline uint8_t fuzz_byte(struct bytes *input)
{
    if (input->len == 0) {
        return 0;
    }
    uint8_t byte = (uint8_t)input->at[0];
    *input = bytes_skip(*input, 1);
    return byte;
}

/// All bytes up to the next `end`, which is taken as well, or all that are left.
static inline struct bytes fuzz_text(struct bytes *input, char end)
{
    const char *stop = input->len == 0 ? NULL : memchr(input->at, end, input->len);
    size_t len = stop == NULL ? input->len : (size_t)(stop - input->at);
    struct bytes text = bytes_of(input->at, len);
    *input = bytes_skip(*input, stop == NULL ? len : len + 1);
    return text;
}
