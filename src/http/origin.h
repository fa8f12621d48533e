// SPDX-License-Identifier: MIT
//
// Where a request comes from: the client's address, and the scheme and the host that it asked for.
// When no proxy is trusted, or the peer is none of them, the address is the peer's and the rest is
// what the request itself says. Otherwise it is what the proxies say (wire/forwarded.h). A value
// that is made to be asked at once: it points into the request.
#pragma once

#include "base/bytes.h"
#include "net/socket_address.h"
#include "wire/forwarded.h"

#include <stdbool.h>
#include <stddef.h>

struct request;
struct trust;

struct origin {
    const struct request *_request;
    struct forwarded _forwarded;
    char _peer[PEER_HOST_BYTES_MAX];
    size_t _peer_len;
    bool _is_forwarded; // the peer is a trusted proxy
};

/// Reads what the request says. `trust` is NULL when no proxy is trusted; `peer` is the host of the
/// peer as `peer_host` writes it.
void origin_init(struct origin *origin, const struct request *request, const struct trust *trust,
                 struct bytes peer);

/// Writes the client's address to `out`, which has PEER_HOST_BYTES_MAX: an IP address, "unix", or
/// what a proxy says of an address that is not known ("unknown", "_gazonk"). Returns its length.
size_t origin_client(const struct origin *origin, char *out);

/// Whether the client asked by https.
bool origin_is_https(const struct origin *origin);

/// The host that the client asked for, with its port if it named one; empty for a request of
/// HTTP/1.0 without a host. A slice of the request.
struct bytes origin_host(const struct origin *origin);
