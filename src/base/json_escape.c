// SPDX-License-Identifier: MIT
#include "base/json_escape.h"

#include "base/check.h"

#include <assert.h>

size_t json_write_escape(uint32_t character, char *out)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    static const char hex[] = "0123456789abcdef";
    static_assert(sizeof(letters) % 2 == 1, "behind each character stands its letter");
    DCHECK(character < 0x10000);
    out[0] = '\\';
    for (size_t i = 0; i + 1 < sizeof(letters); i += 2) {
        if ((uint32_t)letters[i] == character) {
            out[1] = letters[i + 1];
            return 2;
        }
    }
    out[1] = 'u';
    for (int i = 0; i < 4; i++) {
        out[2 + i] = hex[character >> (12 - 4 * i) & 15];
    }
    return JSON_ESCAPE_LEN_MAX;
}
