// SPDX-License-Identifier: MIT
//
// An id is parsed as strictly as it is written: two numbers without leading zeros, a hyphen between
// them, lower-case hexadecimal in front of it. So one id has one spelling, and ids can be compared
// by their bytes.
#include "wire/event_id.h"

#include "base/decimal.h"
#include "wire/octet.h"

#include <assert.h>

static_assert(EVENT_ID_LEN_MAX == HEX_LEN_MAX + 1 + DECIMAL_LEN_MAX, "two numbers and a hyphen");

static bool parse_number(struct bytes text, unsigned base, uint64_t *number);
static bool is_digit(char octet, unsigned base);
static void check_spelling(struct event_id id, struct bytes text);

size_t event_id_format(struct event_id id, char *out)
{
    size_t len = hex_write(id.epoch, out);
    out[len++] = '-';
    len += decimal_write(id.sequence, out + len);
    DCHECK(len <= EVENT_ID_LEN_MAX);
    return len;
}

enum event_id_lookup event_id_find(struct bytes list, uint64_t epoch, struct event_id *id)
{
    enum event_id_lookup lookup = EVENT_ID_ABSENT;
    for (bool is_last = false; !is_last;) {
        const char *comma = list.len == 0 ? NULL : memchr(list.at, ',', list.len);
        is_last = comma == NULL;
        size_t len = is_last ? list.len : (size_t)(comma - list.at);
        struct event_id part;
        if (!event_id_parse(bytes_of(list.at, len), &part)) {
            return EVENT_ID_MALFORMED;
        }
        if (part.epoch == epoch && lookup == EVENT_ID_ABSENT) {
            lookup = EVENT_ID_FOUND;
            *id = part;
        }
        list = bytes_skip(list, is_last ? len : len + 1);
    }
    DCHECK(lookup != EVENT_ID_FOUND || id->epoch == epoch);
    return lookup;
}

bool event_id_parse(struct bytes text, struct event_id *id)
{
    if (text.len == 0 || text.len > EVENT_ID_LEN_MAX) {
        return false;
    }
    const char *hyphen = memchr(text.at, '-', text.len);
    if (hyphen == NULL) {
        return false;
    }
    size_t epoch_len = (size_t)(hyphen - text.at);
    struct event_id parsed;
    if (!parse_number(bytes_of(text.at, epoch_len), 16, &parsed.epoch) ||
        !parse_number(bytes_skip(text, epoch_len + 1), 10, &parsed.sequence)) {
        return false;
    }
    DEBUG_CALL(check_spelling(parsed, text));
    *id = parsed;
    return true;
}

/// Parses exactly what `event_id_format` writes; false beyond 64 bits.
static bool parse_number(struct bytes text, unsigned base, uint64_t *number)
{
    DCHECK(base == 10 || base == 16);
    if (text.len == 0 || (text.at[0] == '0' && text.len > 1)) {
        return false;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.at[i], base)) {
            return false;
        }
        unsigned digit = octet_hex_value(text.at[i]);
        if (sum > (UINT64_MAX - digit) / base) {
            return false;
        }
        sum = sum * base + digit;
    }
    *number = sum;
    return true;
}

static bool is_digit(char octet, unsigned base)
{
    return octet_is(octet, OCTET_DIGIT) || (base == 16 && octet >= 'a' && octet <= 'f');
}

/// An id has one spelling: the formatter writes what the parser has read.
static void check_spelling(struct event_id id, struct bytes text)
{
    char again[EVENT_ID_LEN_MAX];
    CHECK(bytes_equal(bytes_of(again, event_id_format(id, again)), text));
}
