// SPDX-License-Identifier: MIT
//
// A generation that newer scripts have replaced. Nothing new comes to it; what it has begun it
// finishes. Streams that only listen to channels do not need it and stay as they are. Streams with
// a handler, a timer or a listener are what the script says: kept in the old code until they close
// (the default), ended so that their readers come back to the new code, or handed to a function. It
// is idle, and can be freed, when nothing of it runs or waits any more.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct generation;

/// Retires the generation: timers made while it loaded stop, what no script reaches is collected,
/// and `on_reload` is done; a function runs until it waits. *Calls Lua.*
void generation_retire(struct generation *generation);

/// Ends a retired generation before its time: its streams end properly and are told to come back,
/// requests without an answer get a 503, answers in pieces are cut, everything that runs is
/// cancelled. Said again, it waits no more for peers that do not read. Returns how many streams it
/// ended. *Calls Lua.*
size_t generation_end(struct generation *generation);

/// Whether nothing needs it any more. Collects what no script reaches before it answers, and lets
/// go of streams that only variables of it know: who follows a channel goes on, others end and are
/// told to come back. *Calls Lua* (finalizers).
bool generation_is_idle(struct generation *generation);
