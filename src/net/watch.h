// SPDX-License-Identifier: MIT
//
// Tells when source files in some folders have changed. Folders are watched, not files, so it sees
// editors that write beside the file and rename, and files that are new. What comes in a burst is
// told once, when it has been quiet for WATCH_QUIET_MS. Owned by the server; `watch_close` is
// asynchronous, and the struct must live until the loop has closed its handles. One thread.
#pragma once

#include "net/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct loop;

enum { WATCH_FOLDERS_MAX = 64, WATCH_QUIET_MS = 20 };

struct watch {
    struct loop *loop;
    uv_fs_event_t _handles[WATCH_FOLDERS_MAX];
    char *_folders[WATCH_FOLDERS_MAX];
    size_t _count;
    struct timer _quiet;
    void *user;
    void (*on_changed)(void *user);
};

/// Watches nothing yet.
void watch_open(struct watch *watch, struct loop *loop, void (*on_changed)(void *user), void *user);

/// Watches `folder` as well. Returns 0, also when it is watched already, or a negative errno;
/// -ENOSPC beyond WATCH_FOLDERS_MAX.
int watch_add(struct watch *watch, const char *folder);

void watch_close(struct watch *watch);
