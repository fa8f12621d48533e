// SPDX-License-Identifier: MIT
//
// Status codes and their reason phrases (RFC 9110, section 15).
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

/// The reason phrase, or "Unknown" for a code without one.
struct bytes status_reason(int status);

/// Whether a response with this status may have content (RFC 9110, section 6.4.1: not 1xx, 204,
/// 304).
bool status_has_content(int status);
