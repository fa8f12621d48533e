// SPDX-License-Identifier: MIT
//
// The response box: what a script says of the response message, whole or by hand. Its memory is the
// scope. Once the exchange is done, what sends answers `nil, "closed", "ECLOSED"`, and what
// prepares does nothing.
#pragma once

#include "script/box.h"

extern const struct box_class lib_response_class;

/// keep_headers.
extern const luaL_Reg lib_response_functions[];

/// What is wrong with a field, by what `response_set_field` returned; NULL for 0.
const char *lib_response_refusal(int refusal);
