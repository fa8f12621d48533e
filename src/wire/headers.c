// SPDX-License-Identifier: MIT
#include "wire/headers.h"

#include "base/check.h"
#include "wire/octet.h"

static bool are_all(struct bytes text, unsigned mask);

bool headers_name_is_valid(struct bytes name)
{
    return headers_is_token(name);
}

bool headers_value_is_valid(struct bytes value)
{
    if (value.len == 0) {
        return true;
    }
    if (octet_is_blank(value.at[0]) || octet_is_blank(value.at[value.len - 1])) {
        return false;
    }
    return are_all(value, OCTET_VALUE);
}

bool headers_is_token(struct bytes text)
{
    return text.len > 0 && are_all(text, OCTET_TCHAR);
}

bool headers_next_member(struct bytes *rest, struct bytes *member)
{
    while (rest->len > 0) {
        size_t len = headers_index_unquoted(*rest, ',');
        *member = bytes_trim(bytes_of(rest->at, len));
        DCHECK(member->len <= len);
        *rest = bytes_skip(*rest, len < rest->len ? len + 1 : len);
        if (member->len > 0) {
            return true;
        }
    }
    return false;
}

bool headers_list_has(struct bytes value, struct bytes token)
{
    struct bytes member;
    while (headers_next_member(&value, &member)) {
        if (bytes_equal_nocase(member, token)) {
            return true;
        }
    }
    return false;
}

bool headers_content_length(struct bytes value, uint64_t *length)
{
    if (value.len == 0 || !are_all(value, OCTET_DIGIT)) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint64_t digit = octet_hex_value(value.at[i]);
        if (number > (UINT64_MAX - digit) / 10) {
            number = UINT64_MAX;
            break;
        }
        number = number * 10 + digit;
    }
    *length = number;
    return true;
}

size_t headers_index_unquoted(struct bytes text, char separator)
{
    bool is_quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.at[i];
        if (byte == '"') {
            is_quoted = !is_quoted;
        } else if (byte == '\\' && is_quoted) {
            i++;
        } else if (byte == separator && !is_quoted) {
            return i;
        }
    }
    return text.len;
}

static bool are_all(struct bytes text, unsigned mask)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!octet_is(text.at[i], mask)) {
            return false;
        }
    }
    return true;
}
