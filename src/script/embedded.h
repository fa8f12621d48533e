// SPDX-License-Identifier: MIT
//
// The Lua files of lua/lunesse/ as they were when the program was built. The build turns them into
// one C file that defines the two names below, so that the program needs no folder beside it. The
// texts are constant and may be read from any thread. `require` finds them by name.
#pragma once

#include <stddef.h>

/// One module: lua/lunesse/server.lua is "lunesse.server", lua/lunesse/init.lua is "lunesse".
struct embedded_lua {
    const char *name;
    const unsigned char *bytes; // the source text; a NUL follows the last byte
    size_t len;                 // without that NUL
};

extern const struct embedded_lua embedded_lua[];
extern const size_t embedded_lua_count;
