// SPDX-License-Identifier: MIT
//
// Where in a JSON text a mistake is, as a person counts. Pure.
#pragma once

#include "base/bytes.h"

#include <stddef.h>

/// A position in a text, both from 1. Lines end with LF; a column is a character, not a byte.
struct json_position {
    size_t line;
    size_t column;
};

/// The position of the byte `at`, which may be behind the last.
struct json_position json_position(struct bytes text, size_t at);
