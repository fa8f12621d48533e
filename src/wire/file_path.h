// SPDX-License-Identifier: MIT
//
// Which paths name a file that a peer may have, beneath a folder. The path is the peer's, percent
// sequences decoded. Pure.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

/// Whether `path`, beneath a folder, names something that may be public: parts divided by single
/// slashes, of which none is empty but a last one, which names a folder, and none begins with a
/// dot. That leaves out "." and "..", hidden files, a leading slash and double ones. No NUL, at
/// which the system would stop reading, and at most 4000 bytes. An empty path names the folder
/// itself.
bool file_path_is_public(struct bytes path);
