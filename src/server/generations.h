// SPDX-License-Identifier: MIT
//
// The scripts' generations: the one that answers, and those that it replaced and that still have
// something to finish. A reload builds a new one beside the running one; only when all of it has
// loaded does it take its place, at the end of a turn, and otherwise nothing changes. Connections,
// streams and channels belong to others and notice nothing. Not more than GENERATIONS_MAX live at
// once: the oldest is ended by force. Owned by the server.
#pragma once

#include "base/check.h"
#include "base/limits.h"
#include "base/list.h"
#include "net/loop.h"
#include "net/watch.h"
#include "script/generation.h"

#include <stdbool.h>
#include <stdint.h>

struct config;
struct dispatch;
struct service;

enum { GENERATIONS_MAX = 3 };

struct generations {
    const struct config *config;
    struct generation_options options; // its limits are the server's, in use
    struct generation *current;        // NULL before the first load
    struct dispatch *dispatch;         // told of the current one
    const struct service *service;     // whose streams the report counts
    struct list retired;               // the oldest first
    size_t retired_count;
    uint64_t next_number;
    struct loop_job job; // a reload that is wanted
    struct watch watch;
    bool is_watching;
    bool is_stopped; // the server is ending
    char *failure;   // why the last reload failed, with the traceback; NULL when it did not
};

/// Nothing is loaded. The options' `loop`, `hub`, `heartbeats` and `limits` must outlive it.
void generations_init(struct generations *generations, const struct config *config,
                      const struct generation_options *options, struct dispatch *dispatch);

/// Frees all generations. Their exchanges must be done. *Calls Lua.*
void generations_deinit(struct generations *generations);

/// Loads the scripts for the first time. Returns 0, or 1 when it has printed why not; `current` is
/// then what there is of it.
MUST_USE int generations_load(struct generations *generations);

/// From now on wants a reload whenever a script, or a module that one requires, changes.
void generations_watch(struct generations *generations);

/// From now on nothing is loaded any more, and nothing watched. Before the loop closes. Idempotent.
void generations_stop(struct generations *generations);

/// Wants a reload, at the end of the turn. May be called by a script.
void generations_reload(struct generations *generations);

/// Frees what is idle. At the end of each turn; costs nothing while nothing is retired.
void generations_sweep(struct generations *generations);
