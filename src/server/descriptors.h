// SPDX-License-Identifier: MIT
//
// How many descriptors there are, and how many of them connections may have: those that are left
// when sockets, loops and the files that scripts open have theirs. Every connection that is
// accepted has a descriptor, also one that is accepted only to be refused. Asked before there are
// threads.
#pragma once

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>

/// Raises the limit of descriptors as far as the system allows, and returns it.
uint64_t descriptors_raise(void);

/// Returns 0, or -EMFILE when it has printed that `limit` is too low for so many workers.
MUST_USE int descriptors_check(uint64_t limit, size_t worker_count);

/// How many connections there are descriptors for, beside those over the limit and `worker_count`
/// workers that listen on `socket_count` sockets together. At least 1.
uint64_t descriptors_connections(uint64_t limit, size_t worker_count, size_t socket_count);
