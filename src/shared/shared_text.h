// SPDX-License-Identifier: MIT
//
// Counted bytes that never change: the strings in shared stores, and lists of keys. Whoever keeps a
// text holds it, and whoever gives the last hold back frees it. Any thread may read a text that it
// holds. So a store hands out a string by holding it once more, and copies no bytes for that.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct shared_text {
    atomic_size_t hold_count;
    size_t len;
    char at[];
};

/// Makes a copy of `bytes`, held once. Returns 0, or -ENOMEM; then `*made` is as it was.
MUST_USE int shared_text_new(struct bytes bytes, struct shared_text **made);

void shared_text_hold(struct shared_text *text);

/// Gives one hold back. NULL is fine.
void shared_text_release(struct shared_text *text);

/// The bytes of a text that the caller holds.
struct bytes shared_text_bytes(const struct shared_text *text);

/// In a list of keys, each has its length before it, as a `uint16_t`.
enum { KEY_PREFIX_BYTES = 2 };

/// Takes the next key from `rest`, which begins as the whole text; false after the last.
bool shared_next_key(struct bytes *rest, struct bytes *key);
