// SPDX-License-Identifier: MIT
//
// Strings of JSON (RFC 8259, section 7): what may stand between the quotes, what escapes mean, and
// how any text is written. Plain ASCII goes a word at a time. Pure.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/json_escape.h"

#include <stdbool.h>

/// Judges the string that begins at the front of `text`, behind its opening quote. Returns 0, and
/// `len` is how many bytes stand before the closing quote; or an error, and `len` is
/// where the mistake is.
MUST_USE int json_string_scan(struct bytes text, size_t *len, bool *has_escapes);

/// Writes what a judged string means to `out`, which has `text.len` bytes; returns how many.
size_t json_unescape(struct bytes text, char *out);

/// Writes the front of `rest`, which is UTF-8, as it stands between quotes to `out`, as much as
/// `size` bytes hold; they are JSON_ESCAPE_LEN_MAX at least. `rest` is then what is left. Returns
/// how many bytes were written.
size_t json_escape(struct bytes *rest, char *out, size_t size);
