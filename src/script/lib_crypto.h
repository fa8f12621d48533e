// SPDX-License-Identifier: MIT
//
// The C half of the table `lunesse.crypto`: what is done at once, public keys
// (lib_public_key.h), and passwords (lib_password.h). The Lua half is lua/lunesse/crypto.lua.
#pragma once

#include <lauxlib.h>
#include <lua.h>

/// Pushes the table. Called once for a state.
void lib_crypto_push(lua_State *L);
