// SPDX-License-Identifier: MIT
//
// An address as it is given on the command line: "unix:PATH", "HOST:PORT" or "[HOST]:PORT".
#pragma once

#include <stdbool.h>

struct address;

/// False when `text` has none of these forms.
bool address_text_parse(const char *text, struct address *address);
