// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/headers.h"

#include <string.h>

TEST(a_token_byte_is_what_the_standard_lists)
{
    for (int byte = 0; byte < 256; byte++) {
        bool is_alpha = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool is_digit = byte >= '0' && byte <= '9';
        bool is_mark = byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
        EXPECT(headers_is_token(bytes_of(&(char){(char)byte}, 1)) ==
               (is_alpha || is_digit || is_mark));
        char text[2] = {'a', (char)byte};
        EXPECT(headers_name_is_valid(bytes_of(text, 2)) == (is_alpha || is_digit || is_mark));
    }
}

TEST(a_value_byte_is_visible_or_obs_text_or_white_space)
{
    for (int byte = 0; byte < 256; byte++) {
        bool is_legal = (byte >= 0x20 && byte != 0x7f) || byte == '\t';
        char text[3] = {'a', (char)byte, 'b'};
        EXPECT(headers_value_is_valid(bytes_of(text, 3)) == is_legal);
    }
}

TEST(a_name_is_not_empty_and_a_value_may_be)
{
    EXPECT(!headers_name_is_valid(BYTES("")));
    EXPECT(!headers_is_token(BYTES("")));
    EXPECT(headers_value_is_valid(BYTES("")));
}

TEST(a_value_neither_starts_nor_ends_with_white_space)
{
    EXPECT(!headers_value_is_valid(BYTES(" a")));
    EXPECT(!headers_value_is_valid(BYTES("\ta")));
    EXPECT(!headers_value_is_valid(BYTES("a ")));
    EXPECT(!headers_value_is_valid(BYTES("a\t")));
    EXPECT(!headers_value_is_valid(BYTES(" ")));
    EXPECT(headers_value_is_valid(BYTES("a b")));
}

static void expect_members(struct bytes value, const char *const *wanted, size_t count)
{
    struct bytes member;
    for (size_t i = 0; i < count; i++) {
        EXPECT(headers_next_member(&value, &member));
        EXPECT_BYTES(member, bytes_from_string(wanted[i]));
    }
    EXPECT(!headers_next_member(&value, &member));
}

TEST(a_list_is_walked_without_its_empty_members)
{
    static const char *const foo[] = {"foo", "bar"};
    expect_members(BYTES("foo,bar"), foo, 2);
    expect_members(BYTES("foo ,bar,"), foo, 2);
    expect_members(BYTES(", foo ,, bar\t,"), foo, 2);
    expect_members(BYTES(""), NULL, 0);
    expect_members(BYTES(","), NULL, 0);
    expect_members(BYTES(",   ,"), NULL, 0);
}

TEST(a_comma_inside_quotes_does_not_separate)
{
    static const char *const quoted[] = {"a=\"x,y\"", "b"};
    static const char *const escaped[] = {"\"\\\",\"", "c"};
    static const char *const open[] = {"\"a, b"};
    static const char *const open_escape[] = {"\"a\\"};
    static const char *const bare_backslash[] = {"a\\", "b"};
    expect_members(BYTES("a=\"x,y\", b"), quoted, 2);
    expect_members(BYTES("\"\\\",\",c"), escaped, 2);
    expect_members(BYTES("\"a, b"), open, 1);
    expect_members(BYTES("\"a\\"), open_escape, 1);
    expect_members(BYTES("a\\,b"), bare_backslash, 2);
}

TEST(a_list_has_a_token_in_any_case)
{
    EXPECT(headers_list_has(BYTES("keep-alive, Upgrade"), BYTES("upgrade")));
    EXPECT(headers_list_has(BYTES("CLOSE"), BYTES("close")));
    EXPECT(!headers_list_has(BYTES("closed, xclose"), BYTES("close")));
    EXPECT(!headers_list_has(BYTES(""), BYTES("close")));
    EXPECT(!headers_list_has(BYTES("\"close\""), BYTES("close")));
}

static void expect_length(struct bytes value, uint64_t wanted)
{
    uint64_t length = 1;
    EXPECT(headers_content_length(value, &length));
    EXPECT(length == wanted);
}

TEST(a_content_length_is_digits)
{
    expect_length(BYTES("0"), 0);
    expect_length(BYTES("3495"), 3495);
    expect_length(BYTES("000000000000000000000000000042"), 42);
    expect_length(BYTES("18446744073709551614"), UINT64_MAX - 1);
    expect_length(BYTES("18446744073709551615"), UINT64_MAX);
    expect_length(BYTES("18446744073709551616"), UINT64_MAX);
    expect_length(BYTES("99999999999999999999999999999999"), UINT64_MAX);
}

TEST(anything_else_is_not_a_content_length)
{
    uint64_t length = 7;
    EXPECT(!headers_content_length(BYTES(""), &length));
    EXPECT(!headers_content_length(BYTES("+1"), &length));
    EXPECT(!headers_content_length(BYTES("-1"), &length));
    EXPECT(!headers_content_length(BYTES("1 "), &length));
    EXPECT(!headers_content_length(BYTES("1, 1"), &length));
    EXPECT(!headers_content_length(BYTES("0x1"), &length));
    EXPECT(!headers_content_length(BYTES("1_0"), &length));
    EXPECT(!headers_content_length(BYTES("99999999999999999999999x"), &length));
    EXPECT_INT(length, 7);
}
