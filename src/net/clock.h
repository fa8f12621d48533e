// SPDX-License-Identifier: MIT
//
// The clock that all loops of an environment go by (base/environment.h). It only goes forward. That
// of the process is the machine's, but specs can move it forward, and slow it down for a program
// that valgrind or a sanitizer slows down. May be read on any thread.
#pragma once

#include <stdint.h>
#include <uv.h>

/// Milliseconds. The clock was read when the loop's last wait ended, so it stands still while
/// callbacks run. On the loop's thread.
uint64_t clock_now_ms(const uv_loop_t *uv);

/// Nanoseconds of the same clock, read at this moment: for measuring, not for waiting.
uint64_t clock_ns(void);

/// Nanoseconds of the machine's monotonic clock, read at this moment. `clock_advance` does not move
/// it, so it can be compared with CPU time.
uint64_t clock_machine_ns(void);

/// What libuv's clock shows when this one shows `due_ms`: at least 1. UINT64_MAX for what never
/// comes.
uint64_t clock_machine_ms(uint64_t due_ms);

/// Moves the clock forward. Loops must be woken to see the new time.
void clock_advance(uint64_t ms);

/// Lets the clock run `times` times slower than the machine's, rounded up to a power of two. A
/// program that a sanitizer makes ten times slower then does as much in a second of this clock as
/// it does in a second without the sanitizer. Must be called before the first loop runs.
void clock_slow_down(unsigned times);
