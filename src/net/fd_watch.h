// SPDX-License-Identifier: MIT
//
// Watches a descriptor that belongs to somebody else: to a script, or to a library such as libpq.
// The poller gets a copy of the descriptor (dup(2)). The owner may therefore close its own at any
// time, before or after `fd_watch_free`, and the system may give its number to another file: the
// watch still means the file that it was made for. That file stays open as long as the watch, so
// the peer of a socket learns of the owner's close only when the watch is freed.
//
// Several watches may mean one file. A watch belongs to whoever made it, and is used on the thread
// of its loop.
#pragma once

#include "net/poller.h"

struct fd_watch {
    struct polled _polled; // with the copy
    struct poller *_poller;
    /// Called in each turn in which the descriptor is ready, until the watch is freed. `events` has
    /// POLL_READ and POLL_WRITE as far as they are wanted. A socket that has failed is ready for
    /// all that is wanted, because reading or writing tells what has happened. May do anything.
    void (*on_ready)(struct fd_watch *watch, unsigned events);
    void *user;
};

/// Watches `fd` for `events`, POLL_READ, POLL_WRITE or both. The caller sets `on_ready` and `user`.
/// Returns 0 or a negative errno; then there is no watch. EBADF: it is not open; EACCES: it is the
/// server's own, such as a connection; EPERM: the system tells of no readiness of such files, for
/// example regular ones and folders; EMFILE: no descriptor is left for the copy.
MUST_USE int fd_watch_new(struct poller *poller, int fd, unsigned events, struct fd_watch **watch);

/// For what the descriptor is ready at this moment; 0 for nothing.
unsigned fd_watch_ready_now(const struct fd_watch *watch);

/// `on_ready` is not called any more, and the copy is closed. The memory goes at the end of the
/// turn.
void fd_watch_free(struct fd_watch *watch);
