// SPDX-License-Identifier: MIT
//
// The URL of a request, taken apart as far as a request needs it. A value that holds copies; read
// by curl's own parser, so that no two parsers can disagree about where a URL leads.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct upstream_address {
    char *host;      // a name, or an address without brackets
    uint16_t port;   // the scheme's own when the URL has none
    bool is_tls;     // the scheme is https
    bool is_private; // an address that is not public, or localhost; of a name it is not known
    bool is_direct;  // no name to look up: an address, or localhost
};

/// Reads `url`. Returns 0, UPSTREAM_BAD_URL, or UPSTREAM_PASSWORD; then there is nothing to free.
/// Only http and https are URLs here.
MUST_USE int upstream_address_init(struct upstream_address *address, const char *url);
void upstream_address_deinit(struct upstream_address *address);

/// Whether anybody on the internet may have this address of a socket; see `ip_is_public`.
bool upstream_address_is_public(const struct sockaddr *address);

/// Resolves `reference` against the URL `base` (RFC 3986, section 5). `joined` is then the
/// caller's, to be freed by `mem_free`. Returns 0 or UPSTREAM_BAD_URL.
MUST_USE int upstream_url_resolve(const char *base, const char *reference, char **joined);
