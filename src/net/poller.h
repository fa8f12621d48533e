// SPDX-License-Identifier: MIT
//
// Which of a loop's sockets are ready: one epoll set, in which each socket stands by the address of
// its `struct polled`. One more descriptor may stand in the set, the guest: libuv's own epoll set
// (see loop.h), so that a single wait covers both. Owned by the loop, used from its thread only.
//
// A socket's life. Only the functions on the arrows change its state:
//
//     NEW --polled_open--> OPEN --polled_want--> WATCHED
//                            |                      |
//                            +----polled_close------+--> CLOSING --poller_tell_closed--> CLOSED
//
//     OPEN     has a descriptor; the kernel does not know of it yet
//     WATCHED  stands in the epoll set
//     CLOSING  out of the set and without a descriptor; the struct must stay where it is, because
//              the events that the last wait found may still name it
//     CLOSED   `on_closed` was called: the poller has forgotten the struct
//
// CLOSING lasts until the end of the turn. So a socket may be closed at any time, by its own
// callback, by another socket's, or by a timer, and no event reaches it afterwards.
#pragma once

#include "base/check.h"
#include "base/owner.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

enum { POLL_READ = 1, POLL_WRITE = 2, POLL_FAILED = 4 };

enum polled_state { POLLED_NEW, POLLED_OPEN, POLLED_WATCHED, POLLED_CLOSING, POLLED_CLOSED };

/// A socket: a member of its owner's struct. 32 bytes, thousands of times.
struct polled {
    /// `events` has POLL_READ and POLL_WRITE as far as they are wanted, and POLL_FAILED when the
    /// socket has an error or is closed in both directions, wanted or not. May do anything.
    void (*on_ready)(struct polled *polled, unsigned events);
    /// Called once after `polled_close`, at the end of the turn. The owner may free the struct.
    void (*on_closed)(struct polled *polled);
    struct polled *_next_closing;
    int fd; // -1 once it is closing
    uint8_t wanted;
    uint8_t _watched; // what the kernel was asked for: at least what is wanted
    uint8_t _state;   // enum polled_state
};

static_assert(sizeof(struct polled) <= 32, "a socket has grown");

enum { POLLER_BATCH = 256 };

struct poller {
    size_t count; // sockets that are open or closing
    struct polled *_closing;
    struct owner _owner;
    int _set;
    int _found_count;
    struct epoll_event _found[POLLER_BATCH]; // by the last wait
};

/// Makes the set. `guest` is a descriptor that waits are to cover as well, or -1; it stays the
/// caller's. Returns 0 or a negative errno.
MUST_USE int poller_init(struct poller *poller, int guest);

/// Gives the set up. What is left open in it is lost: `poller->count` tells.
void poller_deinit(struct poller *poller);

/// Waits until a socket or the guest is ready, at most `timeout_ms`, or without end for -1. Returns
/// whether one is. Tells nobody yet, so that the caller can read the clock first.
bool poller_wait(struct poller *poller, int timeout_ms);

/// Tells the owners of the sockets that the wait has found, at most POLLER_BATCH of them; others
/// come up in the next wait. Returns whether the guest is ready.
bool poller_tell(struct poller *poller);

/// Tells the owners of all sockets that are ready now, without waiting: before timers fire that are
/// late. Not from within `on_ready`.
void poller_catch_up(struct poller *poller);

/// Tells the owners of closing sockets that they are closed. At the end of a turn, and not from
/// within `on_ready`.
void poller_tell_closed(struct poller *poller);

/// Whether a socket is closing, so that the end of the turn has an owner to tell.
static inline bool poller_has_closing(const struct poller *poller)
{
    return poller->_closing != NULL;
}

/// `polled` has its callbacks and its descriptor, which is the poller's to close from now on. All
/// else in it is zero.
void polled_open(struct poller *poller, struct polled *polled);

/// Whether a poller of this process, on whatever thread, has the descriptor: then it is the
/// server's own. May be called on any thread.
bool poller_owns(int fd);

/// Watches for `events` and nothing else. May be 0. To want less is free: the kernel is asked again
/// only when something comes up that is no longer wanted. Does nothing to a socket that is closing.
/// Returns 0 or a negative errno; then the socket is watched as before.
MUST_USE int polled_want(struct poller *poller, struct polled *polled, unsigned events);

/// Takes the socket out of the set and closes its descriptor, both at once. Idempotent.
void polled_close(struct poller *poller, struct polled *polled);

static inline bool polled_is_closing(const struct polled *polled)
{
    return polled->_state >= POLLED_CLOSING;
}

/// CHECKs what must hold between any two calls; debug builds do so by themselves.
void poller_check(const struct poller *poller);
void polled_check(const struct polled *polled);
