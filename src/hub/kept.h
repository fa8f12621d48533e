// SPDX-License-Identifier: MIT
//
// A value of a shared store as it is kept there: strings are counted bytes that do not change, so
// nobody copies, compares or frees them under the lock. A plain value inside its item; whoever has
// the item releases it. Pure but for memory; any thread.
#pragma once

#include "hub/shared.h"

#include <stdatomic.h>

struct shared_text {
    atomic_size_t hold_count;
    size_t len;
    char at[];
};

struct kept {
    enum shared_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct shared_text *text;
    };
};

/// A copy, to be released.
struct kept kept_of(const struct shared_value *value);
void kept_release(const struct kept *value);

/// The value for others, who hold its text if they keep it.
struct shared_value kept_show(const struct kept *value);

/// A text, held once.
struct shared_text *kept_text(struct bytes bytes);

/// Adds two numbers. Returns as `shared_incr`.
MUST_USE int kept_add(const struct kept *number, const struct shared_value *by, struct kept *sum);

/// Whether `value` is what `old` says; NULL stands for nothing. Numbers are equal as in Lua, be
/// they integers or floats. Returns 0, -ESTALE when it is not, or -EAGAIN when that takes a look at
/// the bytes of a string of the same length that is not `seen`, which had them.
MUST_USE int kept_match(const struct kept *value, const struct shared_value *old,
                        const struct shared_text *seen);
