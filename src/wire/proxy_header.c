// SPDX-License-Identifier: MIT
//
// The two versions are told apart by their first byte. Section numbers are those of "The PROXY
// protocol, Versions 1 & 2" by Willy Tarreau.
#include "wire/proxy_header.h"

#include "base/error.h"
#include "wire/octet.h"

enum {
    BINARY_START = 16, // signature, version and command, family, length (section 2.2)
    SIGNATURE_LEN = 12,
    VERSION_2 = 2,
    COMMAND_LOCAL = 0,
    COMMAND_PROXY = 1,
    FAMILY_NONE = 0,
    FAMILY_IP4 = 1,
    FAMILY_IP6 = 2,
    FAMILY_UNIX = 3,
    PROTOCOL_MAX = 2,   // none, stream or datagram
    ADDRESSES_IP4 = 12, // bytes of two addresses and two ports
    ADDRESSES_IP6 = 36,
    ADDRESSES_UNIX = 216, // two paths
};

static const unsigned char signature[SIGNATURE_LEN] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                       0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static bool begins_with(struct bytes bytes, struct bytes start);
static ssize_t parse_text(struct bytes bytes, struct proxy_header *header);
static bool parse_line(struct bytes line, struct proxy_header *header);
static bool take_word(struct bytes *rest, struct bytes *word);
static bool parse_address(struct bytes text, bool is_six, struct ip *ip);
static bool parse_port(struct bytes text, uint16_t *port);
static ssize_t parse_binary(struct bytes bytes, size_t bytes_max, struct proxy_header *header);
static bool take_source(struct bytes addresses, unsigned family, struct proxy_header *header);
static unsigned number_at(struct bytes bytes, size_t at);

ssize_t proxy_header_parse(struct bytes bytes, size_t bytes_max, struct proxy_header *header)
{
    *header = (struct proxy_header){.source = PROXY_SOURCE_PEER};
    if (begins_with(bytes, BYTES("PROXY "))) {
        return parse_text(bytes, header);
    }
    if (begins_with(bytes, bytes_of((const char *)signature, sizeof(signature)))) {
        return parse_binary(bytes, bytes_max, header);
    }
    return PROXY_NOT_ONE;
}

/// Whether one is the beginning of the other.
static bool begins_with(struct bytes bytes, struct bytes start)
{
    size_t len = bytes.len < start.len ? bytes.len : start.len;
    return len == 0 || memcmp(bytes.at, start.at, len) == 0;
}

static ssize_t parse_text(struct bytes bytes, struct proxy_header *header)
{
    size_t len = bytes.len < PROXY_TEXT_BYTES_MAX ? bytes.len : PROXY_TEXT_BYTES_MAX;
    const char *end = len == 0 ? NULL : memchr(bytes.at, '\n', len);
    if (end == NULL) {
        return len == PROXY_TEXT_BYTES_MAX ? PROXY_MALFORMED : 0;
    }
    len = (size_t)(end - bytes.at) + 1;
    if (len < 2 || end[-1] != '\r' || !parse_line(bytes_of(bytes.at, len - 2), header)) {
        return PROXY_MALFORMED;
    }
    return (ssize_t)len;
}

/// Parses `PROXY TCP4 source destination port port`, with one space between two words, or `PROXY
/// UNKNOWN`, behind which anything may stand.
static bool parse_line(struct bytes line, struct proxy_header *header)
{
    struct bytes words[6];
    struct ip destination;
    uint16_t destination_port;
    struct bytes rest = line;
    if (!take_word(&rest, &words[0]) || !take_word(&rest, &words[1]) ||
        !bytes_equal(words[0], BYTES("PROXY"))) {
        return false;
    }
    if (bytes_equal(words[1], BYTES("UNKNOWN"))) {
        return true;
    }
    for (size_t i = 2; i < 6; i++) {
        if (!take_word(&rest, &words[i])) {
            return false;
        }
    }
    bool is_six = bytes_equal(words[1], BYTES("TCP6"));
    header->source = PROXY_SOURCE_IP;
    return rest.at == NULL && (is_six || bytes_equal(words[1], BYTES("TCP4"))) &&
           parse_address(words[2], is_six, &header->ip) &&
           parse_address(words[3], is_six, &destination) && parse_port(words[4], &header->port) &&
           parse_port(words[5], &destination_port);
}

/// Takes what stands before the next space, which is not empty. `rest` has no address after the
/// last word.
static bool take_word(struct bytes *rest, struct bytes *word)
{
    if (rest->at == NULL) {
        return false;
    }
    const char *space = rest->len == 0 ? NULL : memchr(rest->at, ' ', rest->len);
    *word = bytes_of(rest->at, space == NULL ? rest->len : (size_t)(space - rest->at));
    *rest = space == NULL ? (struct bytes){NULL, 0} : bytes_skip(*rest, word->len + 1);
    return word->len > 0;
}

static bool parse_address(struct bytes text, bool is_six, struct ip *ip)
{
    bool has_colon = text.len > 0 && memchr(text.at, ':', text.len) != NULL;
    return has_colon == is_six && ip_parse(text, ip);
}

/// Parses 0 to 65535, without zeros in front.
static bool parse_port(struct bytes text, uint16_t *port)
{
    unsigned number = 0;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.at[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!octet_is(text.at[i], OCTET_DIGIT)) {
            return false;
        }
        number = number * 10 + octet_hex_value(text.at[i]);
    }
    *port = (uint16_t)number;
    return number <= UINT16_MAX;
}

static ssize_t parse_binary(struct bytes bytes, size_t bytes_max, struct proxy_header *header)
{
    if (bytes.len < BINARY_START) {
        return 0;
    }
    unsigned version = (unsigned char)bytes.at[SIGNATURE_LEN] >> 4;
    unsigned command = (unsigned char)bytes.at[SIGNATURE_LEN] & 15;
    unsigned family = (unsigned char)bytes.at[SIGNATURE_LEN + 1] >> 4;
    unsigned protocol = (unsigned char)bytes.at[SIGNATURE_LEN + 1] & 15;
    size_t len = number_at(bytes, SIGNATURE_LEN + 2);
    if (version != VERSION_2 || command > COMMAND_PROXY || family > FAMILY_UNIX ||
        protocol > PROTOCOL_MAX) {
        return PROXY_MALFORMED;
    }
    if (BINARY_START + len > bytes_max) {
        return PROXY_TOO_LONG;
    }
    if (bytes.len < BINARY_START + len) {
        return 0;
    }
    struct bytes addresses = bytes_of(bytes.at + BINARY_START, len);
    if (command == COMMAND_PROXY && !take_source(addresses, family, header)) {
        return PROXY_MALFORMED;
    }
    return (ssize_t)(BINARY_START + len);
}

/// Takes the source's address. False when there is less than the family has.
static bool take_source(struct bytes addresses, unsigned family, struct proxy_header *header)
{
    switch (family) {
    case FAMILY_IP4:
        if (addresses.len < ADDRESSES_IP4) {
            return false;
        }
        header->source = PROXY_SOURCE_IP;
        header->ip = ip_of_four((const unsigned char *)addresses.at);
        header->port = (uint16_t)number_at(addresses, 8); // behind two addresses of 4 bytes
        return true;
    case FAMILY_IP6:
        if (addresses.len < ADDRESSES_IP6) {
            return false;
        }
        header->source = PROXY_SOURCE_IP;
        memcpy(header->ip.bytes, addresses.at, sizeof(header->ip.bytes));
        header->port = (uint16_t)number_at(addresses, 2 * sizeof(header->ip.bytes));
        return true;
    case FAMILY_UNIX:
        header->source = PROXY_SOURCE_UNIX;
        return addresses.len >= ADDRESSES_UNIX;
    default:
        DCHECK(family == FAMILY_NONE);
        return true;
    }
}

/// The number of two bytes, the higher one first.
static unsigned number_at(struct bytes bytes, size_t at)
{
    DCHECK(at + 1 < bytes.len);
    return (unsigned)(unsigned char)bytes.at[at] << 8 | (unsigned char)bytes.at[at + 1];
}
