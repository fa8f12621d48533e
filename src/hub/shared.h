// SPDX-License-Identifier: MIT
//
// What scripts keep outside of themselves: named stores of values under keys, which outlive a
// generation of scripts and are seen by every thread. A store lives while somebody holds it or
// something is in it. Owned by the server, which frees it after all who hold a store. Any thread
// may call anything here; one lock is held for a few instructions, and never while bytes of a value
// are copied or freed.
//
// Time is what the callers say, and the latest of it: threads whose clocks were read in different
// turns agree on what has expired. What has expired is never seen; its memory goes as the stores
// are used, whichever store that is, and always before something is refused for want of room.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shared;
struct shared_store;
struct shared_text;

enum {
    SHARED_NAME_BYTES_MAX = 255,
    SHARED_KEY_BYTES_MAX = 1024,
};

enum shared_type { SHARED_BOOLEAN, SHARED_INTEGER, SHARED_FLOAT, SHARED_STRING };

struct shared_value {
    enum shared_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct bytes string;
    };
    struct shared_text *text; // of one that was got: what holds the bytes of a string, else NULL
};

/// Where and until when something is written.
struct shared_write {
    struct bytes key; // 1 to SHARED_KEY_BYTES_MAX bytes
    uint64_t now_ms;
    uint64_t ttl_ms;    // 0 for ever
    uint64_t bytes_max; // what all stores may hold together
};

/// What is added to a number: both are numbers.
struct shared_step {
    struct shared_value by;
    struct shared_value init; // taken for the number that is not there
};

/// No stores.
struct shared *shared_new(void);

/// Frees everything. CHECKs that nobody holds a store.
void shared_free(struct shared *shared);

/// The bytes that all stores hold, keys and what managing them takes included.
uint64_t shared_bytes(struct shared *shared);

/// The store `name`, which is made if it is not there; held until `shared_release`.
struct shared_store *shared_hold(struct shared *shared, struct bytes name);
void shared_release(struct shared_store *store);

/// What the store may hold of what all may hold, from now on: nothing of what is there goes. A new
/// store may hold all of it. Beyond it, what writes returns -EDQUOT.
void shared_limit(struct shared_store *store, uint64_t bytes_max);
uint64_t shared_limit_of(struct shared_store *store);

/// Whether there is a value under `key`, and which. The bytes of a string stay valid, whatever
/// becomes of the store, until `shared_text_release(value->text)`.
MUST_USE bool shared_get(struct shared_store *store, struct bytes key, uint64_t now_ms,
                         struct shared_value *value);

/// Puts `value` in the place of what was there, its ttl included. Returns 0, -ENOMEM or -EDQUOT.
MUST_USE int shared_set(struct shared_store *store, const struct shared_write *write,
                        const struct shared_value *value);

/// The same where nothing is. Returns 0, -EEXIST or -ENOMEM.
MUST_USE int shared_add(struct shared_store *store, const struct shared_write *write,
                        const struct shared_value *value);

/// Puts `value` in the place of `old`, its ttl included, if that is what is there: as Lua's `==`
/// says. NULL stands for nothing, on either side. Returns 0, -ESTALE when something else is there,
/// or -ENOMEM.
MUST_USE int shared_replace(struct shared_store *store, const struct shared_write *write,
                            const struct shared_value *old, const struct shared_value *value);

/// Adds to a number, and puts the sum into `sum`. Integers stay integers; with a float the sum is
/// one. The ttl counts for a number that begins; one that is there keeps its own. Returns 0,
/// -EINVAL when something else than a number is there, -ERANGE when the sum would be none, -ENOMEM.
MUST_USE int shared_incr(struct shared_store *store, const struct shared_write *write,
                         const struct shared_step *step, struct shared_value *sum);

/// Removes what is under `key`. Whether there was anything.
bool shared_delete(struct shared_store *store, struct bytes key, uint64_t now_ms);

/// How many values the store has.
size_t shared_count(struct shared_store *store, uint64_t now_ms);

/// The keys of at most `max` values, those that are there longest first, for `shared_next_key`. Not
/// one moment's picture: keys that come and go meanwhile may be among them or not; all others are,
/// once. To be released.
struct shared_text *shared_keys(struct shared_store *store, uint64_t now_ms, size_t max);

/// Takes the next key from `rest`, which begins as the whole text; false after the last.
bool shared_next_key(struct bytes *rest, struct bytes *key);

/// The bytes of a text that the caller holds.
struct bytes shared_text_bytes(const struct shared_text *text);

/// NULL is fine.
void shared_text_release(struct shared_text *text);
