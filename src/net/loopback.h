// SPDX-License-Identifier: MIT
//
// A transport without a socket, for the test kit, the simulator and fuzz targets: whoever drives it
// says what the peer sends, and how much of what is written the kernel takes. Owned by its driver,
// which must let the loop turn until `is_gone` before it frees it. Everything that was taken is in
// `taken`.
#pragma once

#include "base/buf.h"
#include "net/loop.h"
#include "net/transport.h"

#include <stdbool.h>
#include <stddef.h>

struct loopback {
    struct transport base;
    struct loop *loop;
    struct loop_job job; // the closing
    struct buf taken;    // what the peer has been sent
    size_t room;         // bytes that are still taken; SIZE_MAX for everything
    bool is_reading;
    bool awaits_room;
    bool has_ended; // the peer has closed its sending side
    bool is_lost;   // the peer is gone, and whoever writes to it finds out
    bool is_shut;
    bool is_reset; // closing with a reset
    bool is_closing;
    bool is_gone;
};

void loopback_init(struct loopback *loopback, struct loop *loop, size_t room);

/// Frees the bytes. CHECKs that the transport is gone.
void loopback_deinit(struct loopback *loopback);

/// Has the peer send `bytes`. The user of the transport must be reading.
void loopback_send(struct loopback *loopback, struct bytes bytes);

/// Has the peer close its sending side.
void loopback_end(struct loopback *loopback);

/// Has the transport find out that the peer is gone.
void loopback_fail(struct loopback *loopback);

/// Has the peer take `size` bytes from now on. Tells the user of the transport if it waits for
/// room.
void loopback_make_room(struct loopback *loopback, size_t size);
