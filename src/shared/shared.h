// SPDX-License-Identifier: MIT
//
// Shared stores: values under keys that scripts keep outside of their Lua states. The values
// outlive a generation of scripts, and every thread sees the same ones. A store lives while
// somebody holds it or a value is in it. The server owns the `struct shared`, and frees it after
// everybody has released their stores. Any thread may call any function of this file. One lock
// guards all stores. It is held for a few instructions, and never while the bytes of a value are
// copied, compared or freed, so a large string makes no other thread wait.
//
// Callers hand in the time, and the stores go by the latest time that anybody has handed in. So
// two threads that read their clocks in different turns agree on which values have expired. A value
// that has expired is never shown. Every call removes some expired values, of whichever store, and
// a write that finds no room removes all of them before it is refused.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "shared/shared_value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shared;
struct shared_store;

enum {
    SHARED_NAME_BYTES_MAX = 255,
    SHARED_KEY_BYTES_MAX = 1024,
};

/// Where and until when something is written.
struct shared_write {
    struct bytes key; // 1 to SHARED_KEY_BYTES_MAX bytes
    uint64_t now_ms;
    uint64_t ttl_ms;    // 0 for ever
    uint64_t bytes_max; // what all stores may hold together
};

/// What `shared_incr` adds to the value of a key. Both members have to be numbers.
struct shared_step {
    struct shared_value by;
    struct shared_value init; // stands for the value of a key that is not there
};

/// Makes the set of all stores, without any.
struct shared *shared_new(void);

/// Frees everything. CHECKs that nobody holds a store.
void shared_free(struct shared *shared);

/// The bytes that all stores hold, keys and what managing them takes included.
uint64_t shared_bytes(struct shared *shared);

/// The store `name`, which is made if it is not there. The caller holds it until
/// `shared_release`.
struct shared_store *shared_hold(struct shared *shared, struct bytes name);
void shared_release(struct shared_store *store);

/// Sets how many bytes this store may hold. A new store has no ceiling of its own. Values that are
/// there stay, even if they are over the ceiling; a write that would go over it returns -EDQUOT.
void shared_limit(struct shared_store *store, uint64_t bytes_max);
uint64_t shared_limit_of(struct shared_store *store);

/// Whether there is a value under `key`; if so, `*value` is a copy of it. The bytes of a string
/// stay valid, whatever becomes of the store, until `shared_text_release(value->text)`.
MUST_USE bool shared_get(struct shared_store *store, struct bytes key, uint64_t now_ms,
                         struct shared_value *value);

/// Puts `value` under the key. A value that was there goes, and its ttl with it. Returns 0;
/// -ENOBUFS or -EDQUOT when all stores, or this one, hold as much as they may; -ENOMEM when the
/// system has no memory for the value. The other functions that write return these three as well.
MUST_USE int shared_set(struct shared_store *store, const struct shared_write *write,
                        const struct shared_value *value);

/// As `shared_set`, but only if nothing is under the key. Returns also -EEXIST.
MUST_USE int shared_add(struct shared_store *store, const struct shared_write *write,
                        const struct shared_value *value);

/// Puts `value` under the key, with a ttl of its own, if the value there equals `old` as Lua's `==`
/// says. An `old` of NULL means that nothing is there; a `value` of NULL removes. Returns 0,
/// -ESTALE when something else is there, or as `shared_set`.
MUST_USE int shared_replace(struct shared_store *store, const struct shared_write *write,
                            const struct shared_value *old, const struct shared_value *value);

/// Adds `step->by` to the number under the key, and puts the sum into `sum`. The sum of two
/// integers is an integer, any other sum a float. The write's ttl is for a number that begins here;
/// a number that was there keeps its ttl. Returns 0, -EINVAL when the value there is no number,
/// -ERANGE when the sum is too large for an integer or is not finite, or as `shared_set`.
MUST_USE int shared_incr(struct shared_store *store, const struct shared_write *write,
                         const struct shared_step *step, struct shared_value *sum);

/// Removes the value under `key`. Returns whether there was one.
bool shared_remove(struct shared_store *store, struct bytes key, uint64_t now_ms);

/// How many values the store has.
size_t shared_count(struct shared_store *store, uint64_t now_ms);

/// Lists the keys of at most `max` values, the oldest values first, in a text for
/// `shared_next_key`; the caller releases it. Other threads get the lock in between. So a key that
/// comes or goes meanwhile may be in the list or not; every other key is in it, once. Returns 0, or
/// -ENOMEM when there is no memory for the list.
MUST_USE int shared_keys(struct shared_store *store, uint64_t now_ms, size_t max,
                         struct shared_text **keys);
