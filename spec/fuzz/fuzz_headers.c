// SPDX-License-Identifier: MIT
//
// Names, values, lists and lengths of header fields, held to slower definitions of the same things.
// Input: a text, 0xFD, a second text.
#include "fuzz.h"

#include "wire/headers.h"

static void check_grammar(struct bytes text);
static bool is_token_byte(unsigned char byte);
static void check_list(struct bytes value, struct bytes token);
static bool ends_quoted(struct bytes text);
static void check_length(struct bytes text);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    struct bytes first = fuzz_text(&input, '\xfd');
    check_grammar(first);
    check_list(first, input);
    check_length(first);
    return 0;
}

static void check_grammar(struct bytes text)
{
    bool is_token = text.len > 0;
    bool is_value = bytes_equal(bytes_trim(text), text);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        is_token = is_token && is_token_byte(byte);
        is_value = is_value && (byte == '\t' || (byte >= ' ' && byte != 0x7f));
    }
    CHECK(headers_is_token(text) == is_token);
    CHECK(headers_name_is_valid(text) == is_token);
    CHECK(headers_value_is_valid(text) == is_value);
}

static bool is_token_byte(unsigned char byte)
{
    // Visible ASCII but the delimiters of RFC 9110, section 5.6.2.
    return byte > ' ' && byte < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", byte) == NULL;
}

/// The members, in order, are parts of the value with nothing but commas and white space between.
static void check_list(struct bytes value, struct bytes token)
{
    struct bytes rest = value;
    struct bytes member;
    const char *seen = value.at;
    bool has_token = false;
    while (headers_next_member(&rest, &member)) {
        CHECK(member.len > 0);
        CHECK(member.at >= seen);
        CHECK(member.at + member.len <= value.at + value.len);
        CHECK(bytes_equal(bytes_trim(member), member));
        for (; seen < member.at; seen++) {
            CHECK(strchr(", \t", *seen) != NULL);
            CHECK(*seen != '\0');
        }
        for (size_t i = 0; i < member.len; i++) {
            CHECK(member.at[i] != ',' || ends_quoted(bytes_of(member.at, i)));
        }
        seen += member.len;
        has_token = has_token || bytes_equal_nocase(member, token);
    }
    CHECK(rest.len == 0);
    CHECK(headers_list_has(value, token) == has_token);
}

/// Whether what comes behind `text` stands in a quoted string.
static bool ends_quoted(struct bytes text)
{
    bool is_quoted = false;
    bool is_escape = false;
    for (size_t i = 0; i < text.len; i++) {
        if (is_escape) {
            is_escape = false;
        } else if (text.at[i] == '"') {
            is_quoted = !is_quoted;
        } else {
            is_escape = is_quoted && text.at[i] == '\\';
        }
    }
    return is_quoted;
}

static void check_length(struct bytes text)
{
    unsigned __int128 sum = 0;
    bool is_number = text.len > 0;
    for (size_t i = 0; i < text.len && is_number; i++) {
        is_number = text.at[i] >= '0' && text.at[i] <= '9';
        sum = sum * 10 + (unsigned)(text.at[i] - '0');
        sum = sum > UINT64_MAX ? UINT64_MAX : sum;
    }
    uint64_t length = 0;
    CHECK(headers_content_length(text, &length) == is_number);
    CHECK(!is_number || length == (uint64_t)sum);
}
