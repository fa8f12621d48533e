// SPDX-License-Identifier: MIT
//
// The terminal that the program was started in. When the terminal goes away the program gets
// SIGHUP, the same signal that asks for a reload; so it must know whether the terminal is still
// there.
#pragma once

#include <stdbool.h>

/// Whether the program is in the foreground of a terminal and is meant to end with it. Behind
/// `nohup` it is not. Asked at the start, before signals are noted.
bool terminal_is_ours(void);

/// Whether the terminal is still there.
bool terminal_is_there(void);
