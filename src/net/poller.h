// SPDX-License-Identifier: MIT
//
// Which sockets are ready. libuv's own handles are 160 to 250 bytes a socket and five system calls
// a connection; with ten thousand readers that would be most of what one costs. So the connections
// of a loop stand in an epoll set of their own, which the loop watches as one descriptor. Owned by
// the loop. One thread.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct polled;

enum { POLL_READ = 1, POLL_WRITE = 2, POLL_FAILED = 4 };

/// A socket in the set: a member of its owner's struct.
struct polled {
    /// `events` has POLL_READ, POLL_WRITE as they were wanted, and POLL_FAILED when the socket has
    /// an error or is closed at both sides, wanted or not. May do anything.
    void (*on_ready)(struct polled *polled, unsigned events);
    /// After `polled_close`, from the end of the loop's turn: the owner may be freed.
    void (*on_closed)(struct polled *polled);
    struct polled *_next_closed;
    int fd;
    uint8_t wanted;
    uint8_t _watched; // what the kernel was asked for: `wanted` at least
    bool is_closing;
    bool _is_in_set;
};

struct poller {
    uv_poll_t _handle;
    struct polled *_closed;
    size_t count; // open sockets
    int _set;
};

/// Returns 0 or a negative errno.
MUST_USE int poller_init(struct poller *poller, uv_loop_t *loop);

/// Closes the set. Asynchronous; `poller->count` tells what was left open.
void poller_close(struct poller *poller);

/// Tells the owners of all sockets that are ready now. For the loop, after a pause.
void poller_catch_up(struct poller *poller);

/// Tells the owners of closed sockets. For the loop, at the end of a turn.
void poller_tell_closed(struct poller *poller);

/// `polled` has its callbacks and its descriptor, which is the poller's to close from now on.
void polled_open(struct poller *poller, struct polled *polled);

/// Watches for `events` and nothing else. May be 0. Returns 0 or a negative errno. To want less is
/// free: the kernel is asked again only when something comes up that is no longer wanted.
MUST_USE int polled_want(struct poller *poller, struct polled *polled, unsigned events);

/// Takes the socket out of the set and closes the descriptor at once. Idempotent.
void polled_close(struct poller *poller, struct polled *polled);
