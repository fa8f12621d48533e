// SPDX-License-Identifier: MIT
//
// The keys of an object in the order of their bytes, smallest first: a heap over an array that the
// caller owns. An object of a million keys can so be written piece by piece, because neither making
// the heap nor taking a key does the work for all keys at once. Pure.
#pragma once

#include "base/bytes.h"

#include <stdint.h>

struct json_key {
    uint64_t front; // the first eight bytes, which nearly always tell two keys apart
    struct bytes text;
    int64_t tag; // the caller's
};

struct json_key json_key_of(struct bytes text, int64_t tag);

/// One step of making a heap of `keys`: to be called with each `at` from `count / 2` down to 1.
void json_keys_settle(struct json_key *keys, size_t count, size_t at);

/// Takes the smallest key out of the heap, which has `count` keys and then one less.
struct json_key json_keys_take(struct json_key *keys, size_t count);
