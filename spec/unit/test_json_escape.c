// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/json_escape.h"

static void expect_escape(uint32_t character, struct bytes wanted)
{
    char out[JSON_ESCAPE_LEN_MAX];
    EXPECT_BYTES(bytes_of(out, json_write_escape(character, out)), wanted);
}

TEST(json_has_letters_for_some_characters_and_numbers_for_the_others)
{
    expect_escape('"', BYTES("\\\""));
    expect_escape('\\', BYTES("\\\\"));
    expect_escape('\b', BYTES("\\b"));
    expect_escape('\f', BYTES("\\f"));
    expect_escape('\n', BYTES("\\n"));
    expect_escape('\r', BYTES("\\r"));
    expect_escape('\t', BYTES("\\t"));
    expect_escape(0, BYTES("\\u0000"));
    expect_escape(0x1b, BYTES("\\u001b"));
    expect_escape(0x7f, BYTES("\\u007f"));
    expect_escape(0x202e, BYTES("\\u202e"));
    expect_escape(0xffff, BYTES("\\uffff"));
}

TEST(json_has_34_octets_that_do_not_stand_for_themselves)
{
    for (int octet = 0; octet < 256; octet++) {
        EXPECT(json_is_plain((char)octet) == (octet >= ' ' && octet != '"' && octet != '\\'));
    }
}
