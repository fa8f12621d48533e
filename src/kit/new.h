// SPDX-License-Identifier: MIT
//
// `lunesse new NAME`: a project that runs, with a spec that passes.
#pragma once

/// Writes what the `count` words behind `new` ask for. Returns the exit code.
int new_run(int count, char **words);
