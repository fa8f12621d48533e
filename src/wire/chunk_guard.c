// SPDX-License-Identifier: MIT
//
// The chunk half of the guard. The size and the data are counted by hand; what may stand between
// the size and its CRLF is a table, state by byte, because the grammar of extensions is nothing
// else.
//
//   SIZE -> (extension states) -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE
//                                    |
//                                    +-> TRAILERS -> CLOSED    when the size was 0
#include "wire/guard.h"

#include "base/check.h"
#include "wire/octet.h"

#include <assert.h>

enum { FRAMING_BYTES_PER_CHUNK = 16, SIZE_BITS_MAX = 60 };

static_assert(SIZE_BITS_MAX + 4 == 64, "a size has 64 bits, and a digit adds four");

enum chunk_state {
    CHUNK_BAD, // a 0 in the table: no state follows
    CHUNK_SIZE,
    CHUNK_BEFORE_SEMICOLON, // white space that only ";" may end
    CHUNK_BEFORE_NAME,
    CHUNK_NAME,
    CHUNK_AFTER_NAME,
    CHUNK_BEFORE_VALUE,
    CHUNK_TOKEN,
    CHUNK_QUOTED,
    CHUNK_ESCAPE,
    CHUNK_AFTER_QUOTED,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILERS,
    CHUNK_CLOSED,
};

/// What a byte is to the grammar of extensions.
enum sort {
    SORT_CONTROL,
    SORT_BLANK,
    SORT_SEMICOLON,
    SORT_EQUALS,
    SORT_QUOTE,
    SORT_BACKSLASH,
    SORT_TCHAR,
    SORT_OTHER, // legal in a quoted string only
    SORT_CR,
    SORT_COUNT,
};

static const uint8_t extension_steps[CHUNK_SIZE_LF][SORT_COUNT] = {
    [CHUNK_SIZE] = {[SORT_BLANK] = CHUNK_BEFORE_SEMICOLON,
                    [SORT_SEMICOLON] = CHUNK_BEFORE_NAME,
                    [SORT_CR] = CHUNK_SIZE_LF},
    [CHUNK_BEFORE_SEMICOLON] =
        {[SORT_BLANK] = CHUNK_BEFORE_SEMICOLON, [SORT_SEMICOLON] = CHUNK_BEFORE_NAME},
    [CHUNK_BEFORE_NAME] = {[SORT_BLANK] = CHUNK_BEFORE_NAME, [SORT_TCHAR] = CHUNK_NAME},
    [CHUNK_NAME] = {[SORT_BLANK] = CHUNK_AFTER_NAME,
                    [SORT_SEMICOLON] = CHUNK_BEFORE_NAME,
                    [SORT_EQUALS] = CHUNK_BEFORE_VALUE,
                    [SORT_TCHAR] = CHUNK_NAME,
                    [SORT_CR] = CHUNK_SIZE_LF},
    [CHUNK_AFTER_NAME] = {[SORT_BLANK] = CHUNK_AFTER_NAME,
                          [SORT_SEMICOLON] = CHUNK_BEFORE_NAME,
                          [SORT_EQUALS] = CHUNK_BEFORE_VALUE},
    [CHUNK_BEFORE_VALUE] = {[SORT_BLANK] = CHUNK_BEFORE_VALUE,
                            [SORT_QUOTE] = CHUNK_QUOTED,
                            [SORT_TCHAR] = CHUNK_TOKEN},
    [CHUNK_TOKEN] = {[SORT_BLANK] = CHUNK_BEFORE_SEMICOLON,
                     [SORT_SEMICOLON] = CHUNK_BEFORE_NAME,
                     [SORT_TCHAR] = CHUNK_TOKEN,
                     [SORT_CR] = CHUNK_SIZE_LF},
    [CHUNK_QUOTED] = {[SORT_BLANK] = CHUNK_QUOTED,
                      [SORT_SEMICOLON] = CHUNK_QUOTED,
                      [SORT_EQUALS] = CHUNK_QUOTED,
                      [SORT_QUOTE] = CHUNK_AFTER_QUOTED,
                      [SORT_BACKSLASH] = CHUNK_ESCAPE,
                      [SORT_TCHAR] = CHUNK_QUOTED,
                      [SORT_OTHER] = CHUNK_QUOTED},
    [CHUNK_ESCAPE] = {[SORT_BLANK] = CHUNK_QUOTED,
                      [SORT_SEMICOLON] = CHUNK_QUOTED,
                      [SORT_EQUALS] = CHUNK_QUOTED,
                      [SORT_QUOTE] = CHUNK_QUOTED,
                      [SORT_BACKSLASH] = CHUNK_QUOTED,
                      [SORT_TCHAR] = CHUNK_QUOTED,
                      [SORT_OTHER] = CHUNK_QUOTED},
    [CHUNK_AFTER_QUOTED] = {[SORT_BLANK] = CHUNK_BEFORE_SEMICOLON,
                            [SORT_SEMICOLON] = CHUNK_BEFORE_NAME,
                            [SORT_CR] = CHUNK_SIZE_LF},
};

static enum guard_result take_data(struct chunk_guard *guard, struct bytes bytes,
                                   struct chunk_part *part);
static enum guard_result take_framing(struct chunk_guard *guard, struct bytes bytes,
                                      const struct head_limits *limits, struct chunk_part *part);
static enum guard_result take_byte(struct chunk_guard *guard, char byte);
static enum guard_result take_size_byte(struct chunk_guard *guard, char byte);
static enum guard_result take_extension_byte(struct chunk_guard *guard, char byte);
static enum sort sort_of(char byte);
static enum guard_result take_wanted(struct chunk_guard *guard, char byte, char wanted,
                                     enum chunk_state next);
static enum guard_result take_trailers(struct chunk_guard *guard, struct bytes bytes,
                                       const struct head_limits *limits, struct chunk_part *part);
static enum guard_result refuse(struct chunk_guard *guard, const char *why);
static void check_state(const struct chunk_guard *guard);

void chunk_guard_init(struct chunk_guard *guard)
{
    *guard = (struct chunk_guard){._state = CHUNK_SIZE, ._chunk_count = 1};
    head_guard_init_trailers(&guard->_trailers);
}

enum guard_result chunk_guard_take(struct chunk_guard *guard, struct bytes bytes,
                                   const struct head_limits *limits, struct chunk_part *part)
{
    CHECK(guard->_state != CHUNK_CLOSED);
    DEBUG_CALL(check_state(guard));
    *part = (struct chunk_part){.taken = 0};
    enum guard_result result;
    if (guard->_state == CHUNK_DATA) {
        result = take_data(guard, bytes, part);
    } else if (guard->_state == CHUNK_TRAILERS) {
        result = take_trailers(guard, bytes, limits, part);
    } else {
        result = take_framing(guard, bytes, limits, part);
    }
    if (result != GUARD_MORE) {
        guard->_state = CHUNK_CLOSED;
    }
    DCHECK(part->taken <= bytes.len && part->data.len <= part->taken);
    DCHECK((result == GUARD_BAD) == (guard->why != NULL));
    DEBUG_CALL(check_state(guard));
    return result;
}

uint64_t chunk_guard_data_left(const struct chunk_guard *guard)
{
    return guard->_state == CHUNK_DATA ? guard->_data_left : 0;
}

static enum guard_result take_data(struct chunk_guard *guard, struct bytes bytes,
                                   struct chunk_part *part)
{
    size_t len = bytes.len < guard->_data_left ? bytes.len : (size_t)guard->_data_left;
    guard->_data_left -= len;
    if (guard->_data_left == 0) {
        guard->_state = CHUNK_DATA_CR;
    }
    *part = (struct chunk_part){.taken = len, .data = bytes_of(bytes.at, len)};
    return GUARD_MORE;
}

static enum guard_result take_framing(struct chunk_guard *guard, struct bytes bytes,
                                      const struct head_limits *limits, struct chunk_part *part)
{
    enum guard_result result = GUARD_MORE;
    while (part->taken < bytes.len && result == GUARD_MORE) {
        if (guard->_state == CHUNK_DATA || guard->_state == CHUNK_TRAILERS) {
            break;
        }
        size_t granted = limits->bytes + guard->_chunk_count * FRAMING_BYTES_PER_CHUNK;
        DCHECK(guard->_framing_bytes <= granted);
        if (guard->_framing_bytes == granted) {
            return GUARD_CHUNKS_TOO_LARGE;
        }
        result = take_byte(guard, bytes.at[part->taken]);
        if (result == GUARD_MORE) {
            part->taken++;
            guard->_framing_bytes++;
        }
    }
    return result;
}

static enum guard_result take_byte(struct chunk_guard *guard, char byte)
{
    switch (guard->_state) {
    case CHUNK_SIZE:
        return take_size_byte(guard, byte);
    case CHUNK_SIZE_LF:
        return take_wanted(guard, byte, '\n', guard->_data_left == 0 ? CHUNK_TRAILERS : CHUNK_DATA);
    case CHUNK_DATA_CR:
        return take_wanted(guard, byte, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF:
        guard->_has_digit = false;
        guard->_chunk_count++;
        return take_wanted(guard, byte, '\n', CHUNK_SIZE);
    default:
        return take_extension_byte(guard, byte);
    }
}

static enum guard_result take_size_byte(struct chunk_guard *guard, char byte)
{
    if (octet_is(byte, OCTET_HEX)) {
        if (guard->_data_left >> SIZE_BITS_MAX != 0) {
            return refuse(guard, "a chunk size beyond 64 bits (RFC 9112, section 7.1)");
        }
        guard->_data_left = guard->_data_left << 4 | octet_hex_value(byte);
        guard->_has_digit = true;
        return GUARD_MORE;
    }
    if (!guard->_has_digit) {
        return refuse(guard, "a chunk without a size (RFC 9112, section 7.1)");
    }
    return take_extension_byte(guard, byte);
}

static enum guard_result take_extension_byte(struct chunk_guard *guard, char byte)
{
    DCHECK(guard->_state < CHUNK_SIZE_LF);
    uint8_t next = extension_steps[guard->_state][sort_of(byte)];
    if (next == CHUNK_BAD) {
        return refuse(guard, "a malformed chunk size or extension (RFC 9112, section 7.1.1)");
    }
    guard->_state = next;
    return GUARD_MORE;
}

static enum sort sort_of(char byte)
{
    switch (byte) {
    case ' ':
    case '\t':
        return SORT_BLANK;
    case ';':
        return SORT_SEMICOLON;
    case '=':
        return SORT_EQUALS;
    case '"':
        return SORT_QUOTE;
    case '\\':
        return SORT_BACKSLASH;
    case '\r':
        return SORT_CR;
    default:
        break;
    }
    if (octet_is(byte, OCTET_TCHAR)) {
        return SORT_TCHAR;
    }
    return octet_is(byte, OCTET_VALUE) ? SORT_OTHER : SORT_CONTROL;
}

static enum guard_result take_wanted(struct chunk_guard *guard, char byte, char wanted,
                                     enum chunk_state next)
{
    if (byte != wanted) {
        return refuse(guard, "CRLF missing in chunked framing (RFC 9112, section 7.1)");
    }
    guard->_state = (uint8_t)next;
    return GUARD_MORE;
}

static enum guard_result take_trailers(struct chunk_guard *guard, struct bytes bytes,
                                       const struct head_limits *limits, struct chunk_part *part)
{
    // The guard of a trailer section writes nothing, so the bytes stay constant.
    enum guard_result result =
        head_guard_take(&guard->_trailers, (char *)bytes.at, bytes.len, limits, &part->taken);
    guard->why = guard->_trailers.why;
    return result == GUARD_HEAD_TOO_LARGE ? GUARD_TRAILERS_TOO_LARGE : result;
}

static enum guard_result refuse(struct chunk_guard *guard, const char *why)
{
    DCHECK(why != NULL);
    guard->why = why;
    return GUARD_BAD;
}

/// What holds in each state of the drawing, between two calls.
static void check_state(const struct chunk_guard *guard)
{
    CHECK(guard->_chunk_count > 0);
    switch ((enum chunk_state)guard->_state) {
    case CHUNK_BAD:
        UNREACHABLE();
    case CHUNK_SIZE:
        CHECK(guard->_has_digit || guard->_data_left == 0);
        break;
    case CHUNK_DATA:
        CHECK(guard->_has_digit && guard->_data_left > 0);
        break;
    case CHUNK_DATA_CR:
    case CHUNK_DATA_LF:
    case CHUNK_TRAILERS:
        CHECK(guard->_has_digit && guard->_data_left == 0);
        break;
    case CHUNK_CLOSED:
        break;
    default:
        CHECK(guard->_has_digit); // behind the size
        break;
    }
}
