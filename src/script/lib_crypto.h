// SPDX-License-Identifier: MIT
//
// The C half of the table `lunesse.crypto`: what is done at once, public keys
// (lib_public_key.h), and passwords (lib_password.h). The Lua half is lua/lunesse/crypto.lua.
#pragma once

#include <lauxlib.h>
#include <lua.h>

/// Called once for a state, by that file: `crypto_table`.
extern const luaL_Reg lib_crypto_functions[];
