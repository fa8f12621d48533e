// SPDX-License-Identifier: MIT
//
// Standard output and standard error. Several threads write to them, for the log and for what
// scripts print. Either may be a pipe that nobody reads, so no thread waits for the reader. Both
// may be the same pipe, so one lock guards both: a pipe that had room when it was asked still has
// it.
#pragma once

#include "base/buf.h"
#include "base/check.h"

/// Opens /dev/null in the place of each standard stream that is closed. Otherwise the next socket
/// or file that the program opens would take that place, and get what is written to the stream.
/// Must be the first call in a program.
void outlet_ensure_standard(void);

void outlet_lock(void);
void outlet_unlock(void);

/// Writes as much of `buf` as `fd` takes without waiting, and consumes it. `last`, unless it is
/// NULL, becomes the last byte that was written. Returns 0, or a negative errno when `fd` takes
/// nothing any more. The caller holds the lock.
MUST_USE int outlet_write(int fd, struct buf *buf, char *last);
