// SPDX-License-Identifier: MIT
//
// Standard output and standard error, which may be a pipe that nobody reads. Several threads write
// to them, for the log and for what scripts print, and none waits for the reader. Both may be the
// same pipe, so there is one lock for both: what had room when it was asked has it still.
#pragma once

#include "base/buf.h"
#include "base/check.h"

/// Opens /dev/null in the place of each standard stream that is closed. Otherwise the next socket
/// or file that the program opens would take that place, and get what is written to the stream. The
/// first call of each program.
void outlet_ensure_standard(void);

void outlet_lock(void);
void outlet_unlock(void);

/// Writes of `buf` what `fd` takes without waiting, and consumes it. `last`, unless it is NULL,
/// becomes the last byte that was written. Returns 0, or a negative errno when `fd` takes nothing
/// any more. Under the lock.
MUST_USE int outlet_write(int fd, struct buf *buf, char *last);
