// SPDX-License-Identifier: MIT
//
// Takes events apart that `sse_encode_event` has written. It reads nothing else: what a peer sends
// never comes here. Pure, and nothing is copied but the lines of data that has several.
#pragma once

#include "base/bytes.h"
#include "wire/sse.h"

#include <stdbool.h>
#include <stddef.h>

/// Takes the first event off `text`. False when there is none. Its texts lie in `text`; its data is
/// as it stands there, for `sse_join_lines`.
bool sse_take_event(struct bytes *text, struct sse_event *event);

/// Writes data that `sse_take_event` has found to `out`, which has room for as many bytes: its
/// lines with LF between them, as a reader sees them. Returns how many bytes that are.
size_t sse_join_lines(struct bytes data, char *out);
