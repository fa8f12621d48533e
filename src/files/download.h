// SPDX-License-Identifier: MIT
//
// A file on its way to a peer. Where the connection is a bare socket, a thread of the pool gives it
// to the kernel (sendfile), so that nothing of it is copied and a disk that is slow holds up no
// loop. Otherwise such a thread reads a piece into memory, and the loop delivers it. Either way at
// most one piece is under way, and the next one is not begun before the peer has taken the last; so
// the memory of a download does not depend on the file, nor on the reader.
//
//     flush: texts --> [piece: pool] --> ended? --> next piece ... --> true, the exchange is done
//                         ^   |
//                 on_room +---+ the kernel is full: the exchange is blocked
//
// A download is the holder of its exchange in the place of the one that began it, and tells that
// one of the end. It frees itself when the exchange is done and no thread works for it. A file that
// becomes shorter, or cannot be read, cuts the connection: the peer counts the bytes and knows that
// some are missing.
#pragma once

#include "base/check.h"

struct exchange;
struct pieces;

/// Sends the head of `exchange`, and then `pieces` of the file. Takes over both: the descriptor is
/// closed, also when this fails. Returns as `exchange_begin_sized`.
MUST_USE int download_send(struct exchange *exchange, int file, struct pieces *pieces);
