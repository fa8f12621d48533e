// SPDX-License-Identifier: MIT
//
// `response:send` and `response:json` of content that is compressed. Compressing takes time: a
// small text is compressed at once, a large one by a thread of the pool while the task waits.
#pragma once

#include "base/bytes.h"
#include "http/compress.h"

#include <lua.h>

struct scope;

/// Sends the whole response of the scope, whose exchange is there and fresh, with `content` coded;
/// or plain, when it gains nothing, or is large and the task cannot wait here. Returns what `send`
/// returns to the script.
int compressed_send(lua_State *L, struct scope *scope, struct bytes content,
                    enum content_coding coding);
