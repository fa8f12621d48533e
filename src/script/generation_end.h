// SPDX-License-Identifier: MIT
//
// A generation that newer scripts have replaced. It gets no new requests and finishes those that it
// has. A stream that only follows channels does not need it and stays as it is. A stream with a
// handler, a timer or a listener needs the old code. The script says what becomes of it: it is kept
// until it closes (the default), it is ended so that its reader comes back to the new code, or it
// is given to a function. The generation is idle, and can be freed, when nothing of it runs or
// waits.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct generation;

/// Retires the generation: timers that were made while it loaded stop, values that no script
/// reaches are collected, and `on_reload` is obeyed. A function given to `on_reload` runs until it
/// waits. *Calls Lua.*
void generation_drain(struct generation *generation);

/// Ends a retired generation before its time: its streams end properly, and their readers are told
/// to come back; requests without an answer get a 503; answers in pieces are cut; every task is
/// cancelled. A second call waits no more for peers that do not read. Returns how many streams it
/// ended. *Calls Lua.*
size_t generation_end(struct generation *generation);

/// Whether nothing needs the generation any more. Before it answers, it collects what no script
/// reaches, and parts the streams that only variables of the generation know: those that follow a
/// channel go on, others end and their readers are told to come back. *Calls Lua* (finalizers).
bool generation_is_idle(struct generation *generation);
