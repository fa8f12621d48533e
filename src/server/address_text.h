// SPDX-License-Identifier: MIT
//
// Addresses as the command line gives them: "unix:PATH", "HOST:PORT" or "[HOST]:PORT".
#pragma once

#include <stdbool.h>

struct address;

/// False when `text` has none of these forms.
bool address_text_parse(const char *text, struct address *address);
