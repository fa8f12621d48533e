// SPDX-License-Identifier: MIT
#include "wire/range.h"

#include "wire/headers.h"
#include "wire/octet.h"

#include <stdbool.h>

/// What a member of the list says.
struct spec {
    bool has_first, has_last;
    uint64_t first, last; // `last` alone: so many bytes at the end
};

static bool parse_spec(struct bytes member, struct spec *spec);
static bool take_number(struct bytes *rest, bool *is_there, uint64_t *number);
static bool satisfy(const struct spec *spec, uint64_t size, struct byte_range *range);

enum range_outcome range_parse(struct bytes field, uint64_t size, struct byte_ranges *ranges)
{
    struct bytes unit = BYTES("bytes=");
    struct bytes member;
    uint64_t left = size;
    bool is_longer = false;
    size_t asked = 0;
    ranges->count = 0;
    if (field.len < unit.len || !bytes_equal_nocase(bytes_of(field.at, unit.len), unit)) {
        return RANGE_IGNORED;
    }
    field = bytes_skip(field, unit.len);
    while (headers_next_member(&field, &member)) {
        struct spec spec;
        struct byte_range range;
        if (!parse_spec(member, &spec)) {
            return RANGE_IGNORED;
        }
        asked++;
        if (asked <= RANGES_MAX && satisfy(&spec, size, &range)) {
            ranges->items[ranges->count++] = range;
            is_longer = is_longer || range_size(range) > left;
            left -= is_longer ? 0 : range_size(range);
        }
    }
    if (asked == 0) {
        return RANGE_IGNORED;
    }
    if (asked > RANGES_MAX || ranges->count == 0) {
        return RANGE_REFUSED;
    }
    return is_longer ? RANGE_IGNORED : RANGE_FOUND;
}

/// Parses `first-`, `first-last` or `-length`. False for anything else, and for a last byte in
/// front of the first.
static bool parse_spec(struct bytes member, struct spec *spec)
{
    if (!take_number(&member, &spec->has_first, &spec->first) || member.len == 0 ||
        member.at[0] != '-') {
        return false;
    }
    member = bytes_skip(member, 1);
    if (!take_number(&member, &spec->has_last, &spec->last) || member.len > 0) {
        return false;
    }
    return (spec->has_first || spec->has_last) &&
           !(spec->has_first && spec->has_last && spec->last < spec->first);
}

/// Takes the digits at the start of `rest`, if there are any. A number beyond 64 bits counts as the
/// largest of these: no file is so long.
static bool take_number(struct bytes *rest, bool *is_there, uint64_t *number)
{
    size_t len = 0;
    while (len < rest->len && octet_is(rest->at[len], OCTET_DIGIT)) {
        len++;
    }
    *is_there = len > 0;
    *number = 0;
    bool is_number = len == 0 || headers_content_length(bytes_of(rest->at, len), number);
    *rest = bytes_skip(*rest, len);
    return is_number;
}

/// The bytes of content of `size` that the spec means. False when there are none.
static bool satisfy(const struct spec *spec, uint64_t size, struct byte_range *range)
{
    if (size == 0 || (!spec->has_first && spec->last == 0) ||
        (spec->has_first && spec->first >= size)) {
        return false;
    }
    range->last = size - 1;
    if (!spec->has_first) {
        range->first = spec->last < size ? size - spec->last : 0;
        return true;
    }
    range->first = spec->first;
    if (spec->has_last && spec->last < range->last) {
        range->last = spec->last;
    }
    return true;
}
