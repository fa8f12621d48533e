// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/mem.h"

#include <stdarg.h>

static char *format(const char *text, ...) __attribute__((format(printf, 1, 2)));

static char *format(const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    char *string = mem_format(text, arguments);
    va_end(arguments);
    return string;
}

TEST(a_string_is_a_copy_of_any_bytes_with_a_nul_behind_it)
{
    char text[] = "ab\0cd";
    char *copy = mem_string(bytes_of(text, 5));
    text[0] = 'x';
    EXPECT(memcmp(copy, "ab\0cd", 6) == 0);
    mem_free(copy);
    char *empty = mem_string(bytes_of(NULL, 0));
    EXPECT_INT(empty[0], '\0');
    mem_free(empty);
}

TEST(a_formatted_string_is_as_long_as_it_has_to_be)
{
    char *string = format("%d %s %0500d", 1, "two", 3);
    EXPECT_INT(strlen(string), 506);
    EXPECT(bytes_starts_with(bytes_from_string(string), BYTES("1 two 000")));
    mem_free(string);
    char *empty = format("%s", "");
    EXPECT_INT(empty[0], '\0');
    mem_free(empty);
}
