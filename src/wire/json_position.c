// SPDX-License-Identifier: MIT
#include "wire/json_position.h"

#include "base/check.h"

struct json_position json_position(struct bytes text, size_t at)
{
    DCHECK(at <= text.len);
    struct json_position position = {.line = 1, .column = 1};
    for (size_t i = 0; i < at; i++) {
        bool is_continued = (text.at[i] & 0xc0) == 0x80;
        position.column += is_continued ? 0 : 1;
        if (text.at[i] == '\n') {
            position.line++;
            position.column = 1;
        }
    }
    return position;
}
