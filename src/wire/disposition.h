// SPDX-License-Identifier: MIT
//
// The value of Content-Disposition for a file that a browser is to keep (RFC 6266). Pure.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>

/// Appends `attachment` with `name`, which is UTF-8 and not empty, to `out`. A name of plain ASCII
/// stands in `filename` alone. Any other also stands in `filename*` (RFC 8187), and `filename`,
/// for clients that do not know that, has `_` in the place of each character that it cannot have: a
/// quote, a backslash, a percent sign, a slash, a control, and what is not ASCII. False when there
/// is no room.
MUST_USE bool disposition_write(struct bytes name, struct buf *out);
