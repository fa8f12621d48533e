// SPDX-License-Identifier: MIT
//
// What the workers listen on: the sockets that a service manager has passed, or else the command
// line's address, or else those of the scripts, or else a default. The sockets are bound on the
// main thread, before the other threads are started; each worker owns its sockets from then on.
#pragma once

#include "base/check.h"

#include <stddef.h>

struct worker;

/// Binds everything. Returns 0, or a negative errno when it has printed why not. The first worker
/// has loaded the scripts.
MUST_USE int addresses_bind(struct worker *workers, size_t worker_count, int inherited_count);
