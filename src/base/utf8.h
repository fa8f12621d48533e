// SPDX-License-Identifier: MIT
//
// UTF-8 as the Encoding standard decodes it (WHATWG Encoding, "UTF-8 decode"): what is not UTF-8
// becomes U+FFFD, one for each maximal part of a sequence that could have been one. Pure.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

/// Length of the longest valid start of `text`; equal to `text.len` when all of it is UTF-8.
/// ASCII is skipped a word at a time.
size_t utf8_valid_prefix(struct bytes text);

/// For a `text` that starts with an invalid sequence: how many bytes one U+FFFD stands for (1 to
/// 3).
size_t utf8_invalid_len(struct bytes text);
