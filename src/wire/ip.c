// SPDX-License-Identifier: MIT
#include "wire/ip.h"

#include "base/error.h"
#include "wire/octet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>

enum { IP_BITS = 128, FOUR_BITS_BEFORE = 96 }; // what stands before the 32 bits of an IPv4 address

static const unsigned char four_start[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// The addresses that begin with the first `bit_count` bits of `start`.
struct range {
    uint32_t start;
    uint8_t bit_count;
};

/// RFC 6890 and the registry of IANA that it began, with multicast.
static const struct range special_fours[] = {
    {0x00000000, 8},  // "this" network
    {0x0a000000, 8},  // private
    {0x64400000, 10}, // between a provider and its customers (RFC 6598)
    {0x7f000000, 8},  // loopback
    {0xa9fe0000, 16}, // link-local; clouds have their metadata here
    {0xac100000, 12}, // private
    {0xc0000000, 24}, // of protocols
    {0xc0000200, 24}, // documentation
    {0xc0586300, 24}, // relays of 6to4, which are gone (RFC 7526)
    {0xc0a80000, 16}, // private
    {0xc6120000, 15}, // benchmarks
    {0xc6336400, 24}, // documentation
    {0xcb007100, 24}, // documentation
    {0xe0000000, 4},  // multicast
    {0xf0000000, 4},  // reserved, and broadcast
};

/// Inside of 2000::/3, which is all that is given out for global unicast (RFC 4291, section 2.4).
static const struct range special_sixes[] = {
    {0x20010000, 23}, // of protocols; Teredo's hold an address of IPv4
    {0x20010db8, 32}, // documentation
    {0x20020000, 16}, // 6to4: they hold an address of IPv4
    {0x3fff0000, 20}, // documentation (RFC 9637)
};
static const struct range global_six = {0x20000000, 3};

static const unsigned char nat64_start[12] = {0, 0x64, 0xff, 0x9b}; // RFC 6052, section 2.1

static bool range_has(const struct range *range, const unsigned char *at);
static bool is_in_any(const struct range *ranges, size_t count, const unsigned char *at);
static bool parse_bit_count(struct bytes text, unsigned bits_max, unsigned *bit_count);
static bool has_bits_behind(const struct network *network);

bool ip_parse(struct bytes text, struct ip *ip)
{
    char string[IP_TEXT_MAX];
    unsigned char four[4];
    if (text.len == 0 || text.len >= sizeof(string) || memchr(text.at, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(string, text.at, text.len);
    string[text.len] = '\0';
    if (inet_pton(AF_INET, string, four) == 1) {
        *ip = ip_of_four(four);
        return true;
    }
    return inet_pton(AF_INET6, string, ip->bytes) == 1;
}

struct ip ip_of_four(const unsigned char *four)
{
    struct ip ip;
    memcpy(ip.bytes, four_start, sizeof(four_start));
    memcpy(ip.bytes + sizeof(four_start), four, sizeof(ip.bytes) - sizeof(four_start));
    return ip;
}

bool ip_is_four(const struct ip *ip)
{
    return memcmp(ip->bytes, four_start, sizeof(four_start)) == 0;
}

bool ip_is_public(const struct ip *ip)
{
    static_assert(sizeof(nat64_start) == sizeof(four_start), "the IPv4 address stands behind");
    bool is_behind_nat64 = memcmp(ip->bytes, nat64_start, sizeof(nat64_start)) == 0;
    if (is_behind_nat64 || ip_is_four(ip)) {
        return !is_in_any(special_fours, sizeof(special_fours) / sizeof(special_fours[0]),
                          ip->bytes + sizeof(four_start));
    }
    return range_has(&global_six, ip->bytes) &&
           !is_in_any(special_sixes, sizeof(special_sixes) / sizeof(special_sixes[0]), ip->bytes);
}

size_t ip_write(const struct ip *ip, char *out)
{
    const char *text = ip_is_four(ip)
                           ? inet_ntop(AF_INET, ip->bytes + sizeof(four_start), out, IP_TEXT_MAX)
                           : inet_ntop(AF_INET6, ip->bytes, out, IP_TEXT_MAX);
    CHECK(text != NULL); // there is room, and both families are known
    return strlen(text);
}

int network_parse(struct bytes text, struct network *network)
{
    const char *slash = text.len == 0 ? NULL : memchr(text.at, '/', text.len);
    size_t len = slash == NULL ? text.len : (size_t)(slash - text.at);
    if (!ip_parse(bytes_of(text.at, len), &network->base)) {
        return -EINVAL;
    }
    bool is_dotted = memchr(text.at, ':', len) == NULL; // "::ffff:10.0.0.0/104" counts 128 bits
    unsigned bits_before = is_dotted ? FOUR_BITS_BEFORE : 0;
    unsigned bit_count = IP_BITS - bits_before;
    if (slash != NULL && !parse_bit_count(bytes_skip(text, len + 1), bit_count, &bit_count)) {
        return -EINVAL;
    }
    network->bit_count = (uint8_t)(bits_before + bit_count);
    return has_bits_behind(network) ? NETWORK_BITS_BEHIND : 0;
}

bool network_has(const struct network *network, const struct ip *ip)
{
    size_t whole = network->bit_count / 8;
    unsigned rest = network->bit_count % 8;
    DCHECK(network->bit_count <= IP_BITS);
    if (network->bit_count < FOUR_BITS_BEFORE && ip_is_four(ip)) {
        return false;
    }
    if (memcmp(network->base.bytes, ip->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 || (network->base.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest) == 0;
}

/// Looks at the four bytes at `at`.
static bool range_has(const struct range *range, const unsigned char *at)
{
    uint32_t word = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    DCHECK(range->bit_count > 0 && range->bit_count <= 32);
    return (word ^ range->start) >> (32 - range->bit_count) == 0;
}

static bool is_in_any(const struct range *ranges, size_t count, const unsigned char *at)
{
    for (size_t i = 0; i < count; i++) {
        if (range_has(&ranges[i], at)) {
            return true;
        }
    }
    return false;
}

/// Parses a decimal number up to `bits_max`, without zeros in front.
static bool parse_bit_count(struct bytes text, unsigned bits_max, unsigned *bit_count)
{
    unsigned number = 0;
    if (text.len == 0 || text.len > 3 || (text.len > 1 && text.at[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!octet_is(text.at[i], OCTET_DIGIT)) {
            return false;
        }
        number = number * 10 + octet_hex_value(text.at[i]);
    }
    *bit_count = number;
    return number <= bits_max;
}

static bool has_bits_behind(const struct network *network)
{
    for (size_t bit = network->bit_count; bit < IP_BITS; bit++) {
        if (network->base.bytes[bit / 8] >> (7 - bit % 8) & 1) {
            return true;
        }
    }
    return false;
}
