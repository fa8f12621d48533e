// SPDX-License-Identifier: MIT
//
// Tells when source files have changed. Owned by the server and used from its loop's thread; after
// `watch_close` the loop still closes the handles.
//
// Folders are watched, not files: an editor that writes a new file and renames it is seen, and so
// are new files. Every folder above is watched as well, for the name of the one below, because a
// watched folder may be removed and made again. A path that leads through symbolic links is watched
// once more for each link, with that link replaced by its target. So the switching of any link on
// the way is seen, and so is a write to the file at its end.
//
// A burst of changes is told once: when nothing has changed for WATCH_QUIET_MS, or
// WATCH_PATIENCE_MS after the first change. Folders that a change has brought are watched from the
// next `watch_renew` on.
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
    struct list _paths; // a folder stands before those below it
    size_t _count;
    bool _is_full;  // there was no room, and the log has said so
    bool _is_moved; // another folder may stand at one of the paths than the one that is watched
    struct timer _quiet;
    uint64_t _patient_until_ms; // when a burst is told at the latest; set while `_quiet` is armed
    void *user;
    void (*on_changed)(void *user);
    /// Is told of each change as it comes, by the folder and the name in it; NULL: nobody is. The
    /// owner sets it after `watch_open`.
    void (*on_named)(void *user, const char *folder, const char *name);
};

/// Prepares `watch`. It watches nothing yet.
void watch_open(struct watch *watch, struct loop *loop, void (*on_changed)(void *user), void *user);

/// Watches the source files in `folder` as well, through every link. The log says once of each
/// folder that cannot be watched.
void watch_add_folder(struct watch *watch, const char *folder);

/// Watches the file `path`, whatever its name, and the source files beside it, through every link.
void watch_add_file(struct watch *watch, const char *path);

/// Looks all paths up again, if a folder on the way to them has come, gone or changed. Called
/// before the files are read, so that every later change is told.
void watch_renew(struct watch *watch);

/// Between these two the caller adds everything that is to be watched. `watch_end_list` forgets
/// whatever was not added again.
void watch_begin_list(struct watch *watch);
void watch_end_list(struct watch *watch);

void watch_close(struct watch *watch);
