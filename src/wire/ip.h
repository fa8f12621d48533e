// SPDX-License-Identifier: MIT
//
// IP addresses and networks as bytes. An IPv4 address has the form that IPv6 has for it
// (::ffff:192.0.2.1, RFC 4291, section 2.5.5.2), so that an address is the same whether its peer
// came to a socket of IPv4 or of IPv6. Pure.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ip {
    unsigned char bytes[16];
};

/// A network: the addresses whose first `bit_count` bits are those of `base`.
struct network {
    struct ip base; // the bits behind `bit_count` are 0
    uint8_t bit_count;
};

enum { IP_TEXT_MAX = 46 }; // with its NUL

/// Parses an address of IPv4 (four decimal numbers) or IPv6, without brackets, port and zone.
MUST_USE bool ip_parse(struct bytes text, struct ip *ip);

/// The address whose 4 bytes stand at `four`.
struct ip ip_of_four(const unsigned char *four);

/// Whether it is an IPv4 address.
bool ip_is_four(const struct ip *ip);

/// Whether anybody on the internet may have this address: it is an IPv4 address outside of all
/// ranges for special purposes (private, loopback, link-local, shared by a provider's customers,
/// multicast, for documentation and the like), such an address behind a NAT64 (64:ff9b::/96), or an
/// IPv6 address for global unicast that holds no other address.
bool ip_is_public(const struct ip *ip);

/// Writes the address to `out`, which has IP_TEXT_MAX, in the one spelling of RFC 5952 or as four
/// decimal numbers; returns its length.
size_t ip_write(const struct ip *ip, char *out);

/// Parses "10.0.0.0/8", "2001:db8::/32", or an address, which is a network of its own. Returns 0;
/// -EINVAL when it is none of these; or NETWORK_BITS_BEHIND (error.h) for an address with
/// bits behind its prefix, such as "10.1.2.3/8", which may mean one address or all of them.
MUST_USE int network_parse(struct bytes text, struct network *network);

/// Whether the address is in the network. A network of IPv6 that is as wide as "::/0" has no
/// address of IPv4 in it.
bool network_has(const struct network *network, const struct ip *ip);
