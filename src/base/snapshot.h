// SPDX-License-Identifier: MIT
//
// Everything that the program counts, put together from all workers: the numbers of counters.h, the
// metrics that workers and scripts have defined, and what the system knows of the process. Made on
// any thread, while the workers count on. The text is that of Prometheus (exposition format 0.0.4).
#pragma once

#include "base/buf.h"
#include "base/metric.h"

#include <stdbool.h>

/// Texts that belong to higher floors, for what is counted by a number. They are set before there
/// are threads.
struct snapshot_names {
    const char *(*reason)(int index);  // of a stream's end; NULL after the last
    const char *(*outcome)(int index); // of a reader's coming back; NULL after the last
    const char *versions[3];           // of lunesse, Lua and libuv
};
void snapshot_set_names(const struct snapshot_names *names);

/// Fills `snapshot`, an empty set, which the caller frees with `metrics_deinit`.
void snapshot_take(struct metrics *snapshot);

/// Appends all of `snapshot` to `out` as text, metrics in the order of their names. Where there is
/// no memory for it, `out` is empty.
void snapshot_write(const struct metrics *snapshot, struct buf *out);

/// Takes a snapshot of everything there is now and appends it to `out` as text. `out` stays empty
/// if memory is so short that this could end the process.
void snapshot_render(struct buf *out);
