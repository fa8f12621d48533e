// SPDX-License-Identifier: MIT
//
// The terminal that somebody has started the program in. When it goes away SIGHUP says so, which is
// also how a reload is asked for.
#pragma once

#include <stdbool.h>

/// Whether the program is in the foreground of a terminal, and is meant to end with it: not so
/// behind `nohup`. Asked at the start, before signals are noted.
bool terminal_is_ours(void);

/// Whether there is a terminal at all, still.
bool terminal_is_there(void);
