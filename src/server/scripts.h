// SPDX-License-Identifier: MIT
//
// From what the command line names, a file or a folder, to the list of script files.
#pragma once

#include "base/check.h"

#include <stddef.h>

struct scripts {
    char *folder; // that they are in
    char **paths; // in name order
    size_t count;
};

/// Finds the scripts. Returns 0, or a negative errno code (-ENOENT, -EACCES, ...); a folder
/// without *.lua files gives 0 and no paths.
MUST_USE int scripts_find(struct scripts *scripts, const char *path);

void scripts_deinit(struct scripts *scripts);
