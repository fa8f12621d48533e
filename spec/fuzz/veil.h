// SPDX-License-Identifier: MIT
//
// A transport over a transport: what TLS is to a socket. Bytes go through the lower transport in
// records, scrambled, so that no byte is the same below and above, and a record can be read only
// when all of it has come:
//
//     length, 2 bytes | as many bytes, each xored with a key that changes with its place
//
// A record of length 0 says that its sender will send no more. A record of which the lower
// transport took a part is held here: `is_holding`. Input that comes while the user does not read
// waits here as well. Owned like every transport by whoever opened it; it owns the lower one.
#pragma once

#include "base/buf.h"
#include "net/loop.h"
#include "net/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Makes a veil over `lower`, which nobody has bound yet. A record has at most `record_max` bytes.
struct transport *veil_over(struct transport *lower, struct loop *loop, size_t record_max);

/// One direction of the other side, for a test that plays the peer. All zero at first.
struct veil_coder {
    uint32_t place;
};

/// Appends a record with `bytes`, which may be empty for the last one.
void veil_encode(struct veil_coder *coder, struct bytes bytes, struct buf *out);

/// Appends what the records in `bytes` say. A record that is not complete is left out. Returns
/// whether the last record is among them.
bool veil_decode(struct bytes bytes, struct buf *out);
