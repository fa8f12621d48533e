// SPDX-License-Identifier: MIT
//
// Real sockets in a real poller (net/poller.h), whose owners and peers do anything at any moment:
// sockets are opened, closed from their own callback or from another's, opened again under the same
// descriptor number within the turn, and held by somebody else while they close, as a child process
// between fork and exec does. What happens is chosen by whoever drives them: bytes of a fuzzer, or
// the simulator's seed. The driver's promises are CHECKed all along:
//
// - no event reaches a socket that is closing, and none is told that is not wanted
// - each socket is told once that it is closed, at the end of the turn and at no other time
// - what poll(2) says of a socket, the poller says too: nothing is missed
//
// Each socket is memory of its own, freed when it is told to be closed, so that a sanitizer sees an
// event that comes too late.
#pragma once

#include "net/poller.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SOCKETS_MAX = 6 };

struct socket;

/// What a child process holds of a socket that is gone here, and the socket's peer; or -1.
struct held {
    int fd;
    int peer;
};

struct sockets {
    struct poller *poller;
    /// Returns 0 to `count` - 1: what happens next.
    uint64_t (*choose)(void *chooser, uint64_t count);
    void *chooser;
    struct socket *open[SOCKETS_MAX]; // those that nobody has closed
    struct held held[SOCKETS_MAX];
    size_t closing_count; // closed, and not told yet
    bool is_telling;      // events are being told
    bool is_ending;       // the turn ends: sockets are being told that they are closed
    bool is_quiet;        // callbacks note what they are told, and do nothing
};

void sockets_init(struct sockets *sockets, struct poller *poller,
                  uint64_t (*choose)(void *chooser, uint64_t count), void *chooser);

/// When all are closed and told.
void sockets_deinit(struct sockets *sockets);

/// Does one thing, if it can be done.
void sockets_step(struct sockets *sockets);

/// Has the poller tell what is ready, without waiting. Returns whether the guest of the poller is
/// ready.
bool sockets_tell(struct sockets *sockets);

/// Does the same, and compares what is told with poll(2). Nothing else happens meanwhile.
bool sockets_tell_exactly(struct sockets *sockets);

/// Around the end of the turn, in which the poller tells sockets that they are closed.
void sockets_begin_end(struct sockets *sockets);
void sockets_end(struct sockets *sockets);

/// Closes all. They are gone after the end of the turn.
void sockets_close(struct sockets *sockets);
