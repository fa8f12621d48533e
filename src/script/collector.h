// SPDX-License-Identifier: MIT
//
// Collects a state's garbage in small steps while there is nothing else to do. Lua collects only as
// it allocates, so without this what ten thousand readers leave behind would stay until as many
// come again. Owned by its generation; costs nothing while nothing ends.
#pragma once

#include <lua.h>
#include <stdbool.h>

struct collector;
struct parts;

struct collector *collector_new(struct parts *parts);

/// A scope ended and left garbage: when that is likely to be half of all, see to it soon.
void collector_wake(struct collector *collector);

/// A channel was refused: handles of others may be garbage that keeps them. Collects soon, in
/// steps, and not at once: peers can have channels refused as often as they like.
void collector_hurry(struct collector *collector);

/// A script failed after it was refused memory: what it leaves behind is collected at once. Lua
/// would do so before it refuses the next one, but not where it builds a long string. *Calls Lua*
/// (finalizers of scripts).
void collector_relieve(struct collector *collector);

/// Collects all that no script reaches, now. *Calls Lua* (finalizers of scripts).
void collector_finish(struct collector *collector);

/// Whether a scope has ended since all was collected.
bool collector_has_work(const struct collector *collector);

void collector_free(struct collector *collector);
