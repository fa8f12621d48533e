// SPDX-License-Identifier: MIT
//
// Opens files beneath a folder, so that no path and no link leads out of it. Called on any thread;
// may wait for the disk.
#pragma once

#include "base/check.h"

/// Opens `path`, relative to the folder `root`, for reading. Returns a descriptor, or a negative
/// errno: -EXDEV when the path or a link on it leads out of the folder. With `root` NULL any path
/// is opened, and links lead anywhere. A pipe that nobody writes to is opened at once; the caller
/// looks at what it got.
///
/// The kernel does it in one call (openat2, since Linux 5.6), and a folder that is moved meanwhile
/// changes nothing. Where the kernel has no such call, or a sandbox forbids it, the folders of the
/// path are opened one by one, and no link is followed at all, which is as safe: a path with a link
/// is -ELOOP then.
MUST_USE int beneath_find(const char *root, const char *path);

/// The same without openat2. For tests.
MUST_USE int beneath_find_by_steps(const char *root, const char *path);
