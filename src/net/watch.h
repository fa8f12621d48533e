// SPDX-License-Identifier: MIT
//
// Tells when source files have changed. Folders are watched, not files, so it sees editors that
// write beside the file and rename, and files that are new. So that a folder that goes and comes
// back is not lost, every folder above it is watched too, for its name alone. A path that leads
// through symbolic links is watched once more for each of them, with that link replaced by what it
// leads to: so every link on the way is seen when it is switched, and every file when it is
// written. What is there after a change is watched after the next `watch_renew`. What comes in a
// burst is told once, when it has been quiet for WATCH_QUIET_MS, or at last after
// WATCH_PATIENCE_MS. Owned by the server; after `watch_close` the loop still closes its handles.
// One thread.
#pragma once

#include "base/list.h"
#include "net/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

enum { WATCH_PATHS_MAX = 1000, WATCH_QUIET_MS = 20, WATCH_PATIENCE_MS = 500 };

struct watch {
    struct loop *loop;
    struct list _paths; // above before below
    size_t _count;
    bool _is_full; // it was said
    struct timer _quiet;
    uint64_t _patient_until_ms; // while `_quiet` is armed
    void *user;
    void (*on_changed)(void *user);
};

/// Watches nothing yet.
void watch_open(struct watch *watch, struct loop *loop, void (*on_changed)(void *user), void *user);

/// Watches the source files in `folder` as well, through every link. What cannot be watched is said
/// in the log, once.
void watch_add_folder(struct watch *watch, const char *folder);

/// Watches the file `path`, whatever its name, and the source files beside it. As
/// `watch_add_folder`.
void watch_add_file(struct watch *watch, const char *path);

/// Looks up all paths anew. Before the files are read; what changes from then on is told.
void watch_renew(struct watch *watch);

/// What is not added again until `watch_end_list` is forgotten there.
void watch_begin_list(struct watch *watch);
void watch_end_list(struct watch *watch);

void watch_close(struct watch *watch);
