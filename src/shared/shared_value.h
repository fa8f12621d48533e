// SPDX-License-Identifier: MIT
//
// A value as callers hand it to a shared store and get it from one: a plain struct, copied. A
// string is bytes of somebody else: of the caller on the way in, of a `shared_text` on the way out.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct shared_text;

enum shared_type { SHARED_BOOLEAN, SHARED_INTEGER, SHARED_FLOAT, SHARED_STRING };

struct shared_value {
    enum shared_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct bytes string;
    };
    struct shared_text *text; // of a value that was got: holds the bytes of its string, else NULL
};
