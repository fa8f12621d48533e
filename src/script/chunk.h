// SPDX-License-Identifier: MIT
//
// The files of scripts as chunks of Lua. A chunk has the name by which its author knows the file;
// errors and tracebacks begin with it. That is the path, but where the test kit was given scripts
// as texts, it has written them to a folder of its own, and their author knows only their names
// there
// (`texts_folder` in base/environment.h).
#pragma once

#include <lua.h>
#include <stdio.h>

/// As luaL_loadfilex, for text alone, with the name that the author knows.
int chunk_load(lua_State *L, const char *path);

/// Opens the file of a chunk by the chunk's name, to be read. NULL when it cannot be.
FILE *chunk_file(const char *name);

/// Pushes `message`, in which paths may stand, with the names that the author knows.
void chunk_push_message(lua_State *L, const char *message);
