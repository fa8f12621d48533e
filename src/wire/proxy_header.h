// SPDX-License-Identifier: MIT
//
// The header of the PROXY protocol, versions 1 and 2, with which a balancer begins a connection: it
// says whose connection it passes on. Pure; what a peer sends is hostile.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "wire/ip.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROXY_TEXT_BYTES_MAX = 107 }; // a header of version 1, with its CRLF (section 2.1)

enum proxy_source {
    PROXY_SOURCE_PEER, // the connection is the balancer's own, or it does not know the client
    PROXY_SOURCE_IP,
    PROXY_SOURCE_UNIX,
};

struct proxy_header {
    enum proxy_source source;
    struct ip ip;
    uint16_t port;
};

/// Parses the header that `bytes` begin with. Returns its length; 0 when more bytes are needed; or
/// one of error.h: PROXY_NOT_ONE as soon as the first bytes are those of no header,
/// PROXY_MALFORMED, or PROXY_TOO_LONG for a header that says it has more than `bytes_max`. What
/// version 2 has behind the addresses (TLVs) is passed over.
MUST_USE ssize_t proxy_header_parse(struct bytes bytes, size_t bytes_max,
                                    struct proxy_header *header);
