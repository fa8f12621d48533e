// SPDX-License-Identifier: MIT
//
// The response box: a script makes the response message with it, as a whole or piece by piece. The
// memory of the box is the request scope. Once the exchange is done, methods that send answer `nil,
// "closed", "ECLOSED"`, and methods that prepare do nothing.
#pragma once

#include "script/box.h"

extern const struct box_class lib_response_class;

/// The functions `keep_headers` and `forget_content`.
extern const luaL_Reg lib_response_functions[];
