// SPDX-License-Identifier: MIT
//
// UTF-8 as the Encoding standard decodes it (WHATWG Encoding, "UTF-8 decode"): bytes that are not
// UTF-8 become U+FFFD, one for each maximal part of a sequence that might have been valid. Pure.
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

/// How many bytes at the end of `text` begin a character that further bytes could complete (0 to
/// 3). Invalid bytes that no further ones can mend are not counted.
size_t utf8_partial_len(struct bytes text);
