// SPDX-License-Identifier: MIT
//
// Where the files are that come with the program, as installed and as built.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

/// Writes the pattern with which Lua finds lunesse/test.so. Returns 0 or a negative errno.
MUST_USE int places_find_kit(char *pattern, size_t size);

/// Writes the path of `name`, a file or folder that the program comes with: the first of `places`,
/// paths from the folder of this program, that is there. NULL ends the list. Returns 0, or a
/// negative errno.
MUST_USE int places_find(const char *const *places, char *path, size_t size);
