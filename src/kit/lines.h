// SPDX-License-Identifier: MIT
//
// How often each line of an app's scripts has run: for luacov, which counts the lines of the host's
// Lua state by a hook and knows nothing of the states that an app has. Owned by the app. Chunks
// that are no files, such as the engine's own, are not counted.
#pragma once

#include "base/map.h"

#include <stddef.h>
#include <stdint.h>

/// The lines of one file.
struct file_lines {
    struct map_entry entry; // by the file's name
    char *name;
    uint64_t *counts; // the first one is that of line 0, which there is not
    size_t count;     // of `counts`
};

struct lines {
    struct map files;
};

void lines_init(struct lines *lines);
void lines_deinit(struct lines *lines);

/// Counts a line, as `on_line` of an environment; `arg` is the `struct lines`.
void lines_add(void *arg, const char *chunk, int line);

/// Takes the lines of any file out, for the caller to free by `file_lines_free`. NULL when there
/// are none.
struct file_lines *lines_take(struct lines *lines);
void file_lines_free(struct file_lines *file);
