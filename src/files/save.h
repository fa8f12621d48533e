// SPDX-License-Identifier: MIT
//
// A file that is written piece by piece, on a thread of the pool (net/offload.h), and that is there
// under its name only when it is whole. Until then its bytes are in a draft: a file beside it whose
// name begins with a dot. One step runs at a time; `on_step` is called on the loop's thread when it
// has ended. Owned by whoever made it, until `save_free`.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "net/offload.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct save;
typedef void (*save_fn)(struct save *save);

struct save {
    struct offload _offload;
    struct loop *_loop;
    char *_path;
    char *_draft; // the path of the draft; NULL while there is none
    int _file;    // the draft, open; -1 while it is not
    char *_content;
    size_t _content_len;
    bool _replaces;
    bool _is_running; // a step is with the pool
    bool _is_left;    // nobody owns it any more: it goes when the step has ended
    int failure;      // of the last step: 0 or a negative errno, after which there is no draft
    save_fn on_step;  // set by the owner
    void *user;       // of the owner
};

/// Makes a save to `path`. A file of that name stays, and is -EEXIST, unless the save `replaces`
/// it.
struct save *save_new(struct loop *loop, const char *path, bool replaces);

/// Makes the draft. -ENOENT: there is no such folder.
void save_begin(struct save *save);

/// Appends a copy of `bytes` to the draft. -ENOMEM when there is no memory for the copy.
void save_write(struct save *save, struct bytes bytes);

/// Gives the draft its name.
void save_finish(struct save *save);

/// Whether a step runs.
static inline bool save_is_running(const struct save *save)
{
    return save->_is_running;
}

/// Frees it, and removes the draft unless the save was finished. While a step runs, that happens
/// when the step has ended, and `on_step` is not called any more.
void save_free(struct save *save);
