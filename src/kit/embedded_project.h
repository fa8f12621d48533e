// SPDX-License-Identifier: MIT
//
// What `lunesse new` writes a project from: the files of lua/new/ and scripts that come with the
// program, with their specs, each under its path from the root of the source. A text may be of any
// kind.
#pragma once

#include "script/embedded.h"

extern const struct embedded_lua embedded_project[];
extern const size_t embedded_project_count;
