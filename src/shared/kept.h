// SPDX-License-Identifier: MIT
//
// A value as a shared store keeps it. A string is a `shared_text`, counted bytes that never change;
// so its bytes are copied before the lock is taken, and compared and freed after it is given back.
// A `struct kept` is a member of its item, and whoever frees the item releases it. The functions
// touch nothing but their arguments; any thread may call them.
#pragma once

#include "base/check.h"
#include "shared/shared_text.h"
#include "shared/shared_value.h"

#include <stdbool.h>
#include <stdint.h>

struct kept {
    enum shared_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct shared_text *text;
    };
};

/// Makes a copy, to be released. Returns 0, or -ENOMEM when there is no memory for the bytes of a
/// string; then there is nothing to release.
MUST_USE int kept_copy(const struct shared_value *value, struct kept *copy);
void kept_release(const struct kept *value);

/// A number, which needs no memory.
struct kept kept_number(const struct shared_value *number);

/// The value as a caller gets it. It has the same text, which a caller who keeps it has to hold.
struct shared_value kept_show(const struct kept *value);

/// Adds two numbers. Returns as `shared_incr`.
MUST_USE int kept_add(const struct kept *number, const struct shared_value *by, struct kept *sum);

/// Whether `value` equals `old`; NULL stands for no value. An integer and a float are equal when
/// Lua says so. Bytes of strings are not compared here, because that may take long. Returns 0,
/// -ESTALE when the two differ, or -EAGAIN when both are strings of one length: then the caller
/// compares the bytes and, if they are the same, calls again with the text of `value` as `seen`.
/// Returns 0 for a string whose text is `seen`. In the first call `seen` is NULL.
MUST_USE int kept_match(const struct kept *value, const struct shared_value *old,
                        const struct shared_text *seen);
