// SPDX-License-Identifier: MIT
//
// A folder below TMPDIR (or /tmp) for the files that a spec gives as texts. Owned by the app, which
// removes it with all that is in it. Folders of one process are used on one thread.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

/// Makes a folder of its own and writes its path to `path`, to be freed by `mem_free`. Returns 0 or
/// a negative errno.
MUST_USE int folder_new(char **path);

/// Writes `text` to the file `name` in the folder. `name` may have folders, which are made, and
/// must stay inside. Returns 0 or a negative errno; -EINVAL for a name that does not.
MUST_USE int folder_write(const char *path, const char *name, struct bytes text);

/// Removes all that is in the folder.
void folder_clear(const char *path);

/// Removes the folder with all that is in it, and frees its path. NULL is fine.
void folder_free(char *path);

/// From now on SIGINT, SIGTERM and SIGHUP, where they are not ignored, remove all that the
/// functions above have made and end the process as before.
void folder_remove_on_signals(void);
