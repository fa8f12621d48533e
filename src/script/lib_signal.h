// SPDX-License-Identifier: MIT
//
// Signals: `lunesse.signal()`. A signal is set, with a value, or not. Tasks wait until it is set.
// It belongs to the scripts that hold it, and to one generation: other workers and newer code do
// not see it. The box is kept by whoever waits for it.
#pragma once

#include "script/box.h"

extern const struct box_class lib_signal_class;

/// The function `signal`, and `check_wait`.
extern const luaL_Reg lib_signal_functions[];
