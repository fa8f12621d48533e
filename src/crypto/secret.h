// SPDX-License-Identifier: MIT
//
// Bytes that are secrets: made by chance, compared, and wiped. Plain functions; any thread may call
// them.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

/// Fills `size` bytes at `at` with what nobody can foresee. In an environment whose clock stands
/// still, that is in the test kit, they are the same each time. Aborts when the system has no
/// randomness to give.
void secret_fill(void *at, size_t size);

/// Whether both are the same, in a time that depends on their lengths alone. Texts of different
/// lengths differ at once.
bool secret_equals(struct bytes a, struct bytes b);

/// Writes zeros over memory that is freed next; the compiler does not leave it out.
void secret_overwrite(void *at, size_t size);
