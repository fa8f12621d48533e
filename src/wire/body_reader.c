// SPDX-License-Identifier: MIT
//
// The framing is read state by state (see the drawing), the data in runs as long as the input
// allows. The common cases, a size line with its CRLF and a CRLF behind the data, are taken in one
// step each, because a load generator reads a million small chunks a second.
#include "wire/body_reader.h"

#include "wire/octet.h"

#include <assert.h>
#include <stddef.h>

/// Where in the framing the next byte stands.
///
///     SIZE --CR--> SIZE_LF --LF--> DATA --all read--> DATA_CR --> DATA_LF --> SIZE
///      |  ;          ^ CR   |
///      +--> EXTENSION+      +--size 0--> TRAILER <--LF--> TRAILER_LINE
///                                           |
///     a body that is not chunked:           +--CR--> LAST_LF --LF--> ENDED
///     DATA --all read--> ENDED
enum part {
    PART_SIZE,
    PART_EXTENSION,
    PART_SIZE_LF,
    PART_DATA,
    PART_DATA_CR,
    PART_DATA_LF,
    PART_TRAILER,
    PART_TRAILER_LINE,
    PART_LAST_LF,
    PART_ENDED,
};

enum { SIZE_BITS_MAX = 60 };

static_assert(SIZE_BITS_MAX + 4 == 64, "a size has 64 bits, and a digit adds four");

static bool take_framing(struct body_reader *reader, struct bytes *input);
static bool take_size(struct body_reader *reader, struct bytes *input);
static bool take_byte(struct body_reader *reader, struct bytes *input, char byte, enum part next);
static bool skip_past(struct body_reader *reader, struct bytes *input, char byte, enum part next);
static void begin_data(struct body_reader *reader);
static void check_part(const struct body_reader *reader);

void body_reader_init(struct body_reader *reader, enum body_framing framing, uint64_t len)
{
    *reader = (struct body_reader){._is_chunked = framing == BODY_CHUNKED};
    if (framing == BODY_CHUNKED) {
        reader->_part = PART_SIZE;
        return;
    }
    reader->_left = framing == BODY_SIZED ? len : UINT64_MAX;
    reader->_part = reader->_left > 0 ? PART_DATA : PART_ENDED;
}

enum body_news body_reader_next(struct body_reader *reader, struct bytes *input,
                                struct bytes *piece)
{
    DEBUG_CALL(check_part(reader));
    while (input->len > 0 && reader->_part != PART_ENDED) {
        if (reader->_part != PART_DATA) {
            if (!take_framing(reader, input)) {
                return BODY_BROKEN;
            }
            continue;
        }
        size_t len = reader->_left < input->len ? (size_t)reader->_left : input->len;
        DCHECK(len > 0);
        *piece = bytes_of(input->at, len);
        *input = bytes_skip(*input, len);
        reader->_left -= len;
        if (reader->_left == 0) {
            reader->_part = reader->_is_chunked ? PART_DATA_CR : PART_ENDED;
        }
        DEBUG_CALL(check_part(reader));
        return BODY_PIECE;
    }
    return reader->_part == PART_ENDED ? BODY_END : BODY_MORE;
}

/// False when the framing is broken.
static bool take_framing(struct body_reader *reader, struct bytes *input)
{
    DCHECK(input->len > 0);
    switch ((enum part)reader->_part) {
    case PART_SIZE:
        return take_size(reader, input);
    case PART_EXTENSION:
        return skip_past(reader, input, '\r', PART_SIZE_LF);
    case PART_SIZE_LF:
        if (!take_byte(reader, input, '\n', PART_DATA)) {
            return false;
        }
        begin_data(reader);
        return true;
    case PART_DATA_CR:
        if (input->len >= 2 && input->at[0] == '\r' && input->at[1] == '\n') {
            *input = bytes_skip(*input, 2);
            reader->_part = PART_SIZE;
            return true;
        }
        return take_byte(reader, input, '\r', PART_DATA_LF);
    case PART_DATA_LF:
        return take_byte(reader, input, '\n', PART_SIZE);
    case PART_TRAILER:
        reader->_part = PART_TRAILER_LINE;
        return input->at[0] != '\r' || take_byte(reader, input, '\r', PART_LAST_LF);
    case PART_TRAILER_LINE:
        return skip_past(reader, input, '\n', PART_TRAILER);
    case PART_LAST_LF:
        return take_byte(reader, input, '\n', PART_ENDED);
    case PART_DATA:
    case PART_ENDED:
        break;
    }
    UNREACHABLE();
}

static bool take_size(struct body_reader *reader, struct bytes *input)
{
    const char *at = input->at;
    const char *end = at + input->len;
    uint64_t size = reader->_left;
    while (at < end && octet_is(*at, OCTET_HEX)) {
        if (size >> SIZE_BITS_MAX != 0) {
            return false;
        }
        size = size << 4 | octet_hex_value(*at);
        at++;
    }
    reader->_has_digit = reader->_has_digit || at > input->at;
    reader->_left = size;
    *input = bytes_of(at, (size_t)(end - at));
    if (at == end) {
        return true;
    }
    if (!reader->_has_digit) {
        return false;
    }
    if (input->len >= 2 && at[0] == '\r' && at[1] == '\n') { // the common case in one step
        *input = bytes_skip(*input, 2);
        begin_data(reader);
        return true;
    }
    if (*at == ';' || *at == ' ' || *at == '\t') {
        reader->_part = PART_EXTENSION;
        return true;
    }
    return take_byte(reader, input, '\r', PART_SIZE_LF);
}

static bool take_byte(struct body_reader *reader, struct bytes *input, char byte, enum part next)
{
    if (input->at[0] != byte) {
        return false;
    }
    *input = bytes_skip(*input, 1);
    reader->_part = (uint8_t)next;
    return true;
}

static bool skip_past(struct body_reader *reader, struct bytes *input, char byte, enum part next)
{
    const char *at = memchr(input->at, byte, input->len);
    if (at == NULL) {
        *input = bytes_skip(*input, input->len);
        return true;
    }
    *input = bytes_skip(*input, (size_t)(at + 1 - input->at));
    reader->_part = (uint8_t)next;
    return true;
}

static void begin_data(struct body_reader *reader)
{
    reader->_has_digit = false;
    reader->_part = reader->_left > 0 ? PART_DATA : PART_TRAILER;
}

/// What holds in each part of the drawing, between two calls.
static void check_part(const struct body_reader *reader)
{
    switch ((enum part)reader->_part) {
    case PART_SIZE:
        CHECK(reader->_is_chunked);
        CHECK(reader->_has_digit || reader->_left == 0);
        break;
    case PART_EXTENSION:
    case PART_SIZE_LF:
        CHECK(reader->_is_chunked && reader->_has_digit);
        break;
    case PART_DATA:
        CHECK(reader->_left > 0 && !reader->_has_digit);
        break;
    case PART_DATA_CR:
    case PART_DATA_LF:
    case PART_TRAILER:
    case PART_TRAILER_LINE:
    case PART_LAST_LF:
        CHECK(reader->_is_chunked && !reader->_has_digit);
        CHECK(reader->_left == 0);
        break;
    case PART_ENDED:
        CHECK(reader->_left == 0);
        break;
    }
}
