// SPDX-License-Identifier: MIT
//
// Looks for a file: opens it, and reads it when it is small. All that may wait for a disk is done
// on a thread of the pool (net/offload.h). The struct is a member of its owner's, and belongs to
// the pool from `lookup_start` until `done` is called, on the loop's thread.
#pragma once

#include "net/offload.h"
#include "wire/etag.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct lookup;
typedef void (*lookup_fn)(struct lookup *lookup);

/// How the content of a file is coded.
enum file_coding { FILE_PLAIN, FILE_BR, FILE_GZIP };

enum {
    LOOKUP_CODINGS_MAX = 2,
    LOOKUP_CONTENT_BYTES = 64 * 1024, // a file up to this size is read at once
};

/// What is looked for. The texts are the lookup's, freed by `lookup_deinit`.
struct lookup_wanted {
    char *root;                                   // the folder beneath which it is; NULL: anywhere
    char *path;                                   // empty: the folder itself
    char *index;                                  // the file of a folder; NULL: a folder has none
    enum file_coding codings[LOOKUP_CODINGS_MAX]; // to be looked for beside the file, best first
    size_t coding_count;
    bool wants_content; // a small file is read
};

/// What was found.
struct lookup_found {
    int failure;   // 0; -ENOENT; -EISDIR: a folder; or another negative errno
    int file;      // open; -1 when the content was read
    bool is_index; // it is the file of a folder
    enum file_coding coding;
    struct etag_source facts; // of the file that is sent
    char *content;            // all of it; NULL when it was not read
};

struct lookup {
    struct offload _offload;
    lookup_fn _done;
    struct lookup_wanted wanted;
    struct lookup_found found;
};

/// Starts to look. The caller has set `wanted`.
void lookup_start(struct lookup *lookup, struct loop *loop, lookup_fn done);

/// Closes the file, unless somebody has taken it (`found.file` is -1), and frees content and texts.
void lookup_deinit(struct lookup *lookup);
