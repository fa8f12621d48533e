// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/chunk.h"

#include <stdio.h>

/// At every power of two, and on both sides of it.
TEST(a_number_is_written_in_hexadecimal_as_printf_writes_it)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        for (uint64_t step = 0; step < 3; step++) {
            uint64_t number = (UINT64_C(1) << bit) + step - 1;
            char out[HEX_LEN_MAX];
            char wanted[HEX_LEN_MAX + 1];
            int len = snprintf(wanted, sizeof(wanted), "%llx", (unsigned long long)number);
            EXPECT_INT(hex_len(number), (size_t)len);
            EXPECT_INT(hex_write(number, out), (size_t)len);
            EXPECT(memcmp(out, wanted, (size_t)len) == 0);
        }
    }
    EXPECT_INT(hex_len(UINT64_MAX), HEX_LEN_MAX);
}

TEST(a_chunk_begins_with_the_line_of_its_size)
{
    char line[CHUNK_SIZE_LEN_MAX];
    EXPECT_BYTES(bytes_of(line, (size_t)(chunk_put_size(line, 0x1a2b) - line)), BYTES("1a2b\r\n"));
    EXPECT_INT(chunk_size_len(0x1a2b), 6);
    EXPECT(chunk_put_size(line, SIZE_MAX) == line + CHUNK_SIZE_LEN_MAX);
}
