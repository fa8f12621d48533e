// SPDX-License-Identifier: MIT
//
// The thread that a struct belongs to. Nearly everything here belongs to one thread and has no
// lock, so a call from another thread is a bug of ours, and one that shows itself rarely. In debug
// builds a `struct owner` remembers the thread that made the struct, and OWNED aborts in any other.
// In release builds the member has no bytes, and OWNED has no instructions.
//
// What hangs on a loop (a connection, a stream, a replica, a generation) needs no owner of its own:
// OWNED(&loop->owner) asks for the thread of its loop.
#pragma once

#include "base/check.h"

#include <pthread.h>
#include <stdbool.h>

struct owner {
#ifndef NDEBUG
    pthread_t _thread;
    bool _is_known; // false: whoever comes first is the owner
#endif
};

/// CHECKs, in debug builds, that the caller is on the thread of `owner`. Stands first in public
/// functions.
#define OWNED(owner) DCHECK(owner_is_here(owner))

/// This thread owns the struct from now on. Called where the struct is made, or handed over.
static inline void owner_take(struct owner *owner)
{
#ifndef NDEBUG
    owner->_thread = pthread_self();
    owner->_is_known = true;
#else
    (void)owner;
#endif
}

/// Whether this thread owns the struct. Always true in release builds.
static inline bool owner_is_here(const struct owner *owner)
{
#ifndef NDEBUG
    return !owner->_is_known || pthread_equal(owner->_thread, pthread_self());
#else
    (void)owner;
    return true;
#endif
}
