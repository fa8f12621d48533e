// SPDX-License-Identifier: MIT
//
// The Lua files of lua/test/, as script/embedded.h has those of lua/lunesse/: lua/test/init.lua is
// "lunesse.test", lua/test/app.lua is "lunesse.test.app".
#pragma once

#include "script/embedded.h"

extern const struct embedded_lua embedded_test[];
extern const size_t embedded_test_count;
