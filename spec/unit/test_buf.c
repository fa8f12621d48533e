// SPDX-License-Identifier: MIT
#include "unit.h"

TEST(a_new_buf_is_empty_and_holds_no_memory)
{
    struct buf buf;
    buf_init(&buf, 10);
    EXPECT(buf_is_empty(&buf));
    EXPECT(buf._memory == NULL);
    EXPECT_BYTES(buf_bytes(&buf), BYTES(""));
}

TEST(a_buf_takes_exactly_its_ceiling_and_refuses_one_more)
{
    struct buf buf;
    buf_init(&buf, 5);
    EXPECT(buf_append(&buf, BYTES("abc")));
    EXPECT(!buf_append(&buf, BYTES("def")));
    EXPECT_BYTES(buf_bytes(&buf), BYTES("abc"));
    EXPECT(buf_append(&buf, BYTES("de")));
    EXPECT(buf_reserve(&buf, 1) == NULL);
    EXPECT_BYTES(buf_bytes(&buf), BYTES("abcde"));
    buf_reset(&buf);
}

TEST(a_buf_counts_its_ceiling_from_what_is_left)
{
    struct buf buf;
    buf_init(&buf, 4);
    EXPECT(buf_append(&buf, BYTES("abcd")));
    buf_consume(&buf, 3);
    EXPECT(buf_append(&buf, BYTES("efg")));
    EXPECT_BYTES(buf_bytes(&buf), BYTES("defg"));
    buf_reset(&buf);
}

TEST(nothing_can_be_appended_to_a_new_buf)
{
    struct buf buf;
    buf_init(&buf, 0);
    EXPECT(buf_append(&buf, BYTES("")));
    EXPECT(!buf_append(&buf, BYTES("a")));
    EXPECT(buf_is_empty(&buf));
    buf_reset(&buf);
}

TEST(a_buf_keeps_its_bytes_while_it_grows_and_slides)
{
    struct buf buf;
    size_t written = 0;
    size_t read = 0;
    buf_init(&buf, 5000);
    for (size_t round = 0; round < 4000; round++) {
        char *room = buf_reserve(&buf, round % 7);
        EXPECT(room != NULL || round % 7 == 0);
        for (size_t i = 0; i < round % 7; i++) {
            room[i] = (char)(written++ % 251);
        }
        buf_commit(&buf, round % 7);
        while (buf_len(&buf) > round % 1300) {
            EXPECT_INT((unsigned char)buf_bytes(&buf).at[0], read++ % 251);
            buf_consume(&buf, 1);
        }
    }
    EXPECT_INT(written - read, buf_len(&buf));
    buf_reset(&buf);
}

TEST(a_cleared_buf_keeps_its_memory_and_a_reset_one_does_not)
{
    struct buf buf;
    buf_init(&buf, 100);
    EXPECT(buf_append(&buf, BYTES("abc")));
    const char *memory = buf._memory;
    buf_clear(&buf);
    EXPECT(buf_is_empty(&buf));
    EXPECT(buf._memory == memory);
    buf_reset(&buf);
    EXPECT(buf._memory == NULL);
    EXPECT(buf_append(&buf, BYTES("abc")));
    buf_reset(&buf);
}

TEST(a_buf_moves_with_its_memory)
{
    struct buf from;
    struct buf to;
    buf_init(&from, 100);
    buf_init(&to, 1);
    EXPECT(buf_append(&from, BYTES("abc")));
    buf_move(&to, &from);
    EXPECT_BYTES(buf_bytes(&to), BYTES("abc"));
    EXPECT(buf_is_empty(&from));
    EXPECT(from._memory == NULL);
    EXPECT(buf_append(&to, BYTES("def")));
    buf_reset(&to);
    buf_reset(&from);
}

TEST(bytes_are_compared_by_content)
{
    EXPECT(bytes_equal(BYTES("a\0b"), BYTES("a\0b")));
    EXPECT(!bytes_equal(BYTES("a\0b"), BYTES("a\0c")));
    EXPECT(!bytes_equal(BYTES("a"), BYTES("ab")));
    EXPECT(bytes_equal(bytes_of(NULL, 0), BYTES("")));
    EXPECT(bytes_equal_nocase(BYTES("Accept"), BYTES("aCCEPT")));
    EXPECT(!bytes_equal_nocase(BYTES("Accept"), BYTES("Accepts")));
    EXPECT(bytes_starts_with(BYTES("abc"), BYTES("ab")));
    EXPECT(!bytes_starts_with(BYTES("a"), BYTES("ab")));
}

TEST(bytes_are_trimmed_of_spaces_and_tabs_only)
{
    EXPECT_BYTES(bytes_trim(BYTES(" \t a b\t ")), BYTES("a b"));
    EXPECT_BYTES(bytes_trim(BYTES(" \t ")), BYTES(""));
    EXPECT_BYTES(bytes_trim(BYTES("\na\n")), BYTES("\na\n"));
}
