// SPDX-License-Identifier: MIT
//
// The list of script files that the file or the folder named on the command line stands for.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct scripts {
    char *folder; // the folder of the scripts
    char **paths; // in name order
    size_t count;
};

/// Finds the scripts. Returns 0, or a negative errno code (-ENOENT, -EACCES, ...); a folder
/// without *.lua files gives 0 and no paths.
MUST_USE int scripts_find(struct scripts *scripts, const char *path);

/// Whether `folder` has a folder `scripts` with *.lua files.
bool scripts_are_below(const char *folder);

void scripts_deinit(struct scripts *scripts);
