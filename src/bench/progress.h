// SPDX-License-Identifier: MIT
//
// A line on standard error that shows how far the present phase is, redrawn in place. Nothing is
// shown when standard error is no terminal. A value inside its owner.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool _is_shown;
    const char *_what;
    const uint64_t *_count;
    uint64_t _goal;
    uint64_t _begun_ns;
    uint64_t _until_ns;
    uint64_t _last_ns;
    uint64_t _last_count;
};

void progress_init(struct progress *progress);

/// Begins a phase: what it does, and what counts while it does it. The phase is over when `count`
/// is `goal`, or, with a goal of 0, after `seconds`. `count` may be NULL.
void progress_begin(struct progress *progress, const char *what, const uint64_t *count,
                    uint64_t goal, double seconds);

/// Draws the line, with the rate since it was last drawn.
void progress_draw(struct progress *progress);

/// Takes the line away.
void progress_end(struct progress *progress);
