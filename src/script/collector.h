// SPDX-License-Identifier: MIT
//
// Collects a state's garbage in small steps while nothing else happens. Lua by itself collects only
// as it allocates, so the garbage of ten thousand readers that have left would stay until as many
// come again. Owned by its generation. Costs nothing while no scope ends.
#pragma once

#include <lua.h>
#include <stdbool.h>

struct collector;
struct parts;

struct collector *collector_new(struct parts *parts);

/// Notes that a scope has ended and left garbage. When garbage is likely to be half of all memory,
/// a collection begins soon.
void collector_wake(struct collector *collector);

/// Begins a collection soon, because a channel was refused and garbage may be holding other
/// channels. It goes in steps, because peers can have channels refused as often as they like.
void collector_hurry(struct collector *collector);

/// Collects at once, because a script failed after it was refused memory. Lua collects before it
/// refuses memory to most values, but not to a long string that it builds. *Calls Lua* (finalizers
/// of scripts).
void collector_relieve(struct collector *collector);

/// Collects at once all that no script reaches. *Calls Lua* (finalizers of scripts).
void collector_run(struct collector *collector);

/// Whether a scope has ended since the last whole collection.
bool collector_has_work(const struct collector *collector);

void collector_free(struct collector *collector);
