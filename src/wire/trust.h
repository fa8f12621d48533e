// SPDX-License-Identifier: MIT
//
// Which proxies are believed, and which fields they write: what `--trust-proxy` and
// `web.trust_proxy` say. A plain value without memory of its own. Pure.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "wire/ip.h"

#include <stdbool.h>
#include <stddef.h>

enum { TRUST_NETWORKS_MAX = 64 };

/// The fields that the proxies write.
enum trust_fields {
    TRUST_EITHER,   // nobody said; a request that has both kinds is not believed
    TRUST_X,        // X-Forwarded-For, -Proto and -Host
    TRUST_STANDARD, // Forwarded (RFC 7239)
};

struct trust {
    size_t network_count;
    struct network networks[TRUST_NETWORKS_MAX];
    enum trust_fields fields;
    bool has_unix; // peers of Unix sockets are believed
};

/// Whether anybody is believed.
static inline bool trust_is_given(const struct trust *trust)
{
    return trust->network_count > 0 || trust->has_unix;
}

/// Adds a word: an address, a network such as "10.0.0.0/8", "unix", or which fields are read,
/// "forwarded" or "x-forwarded". Returns 0, or one of error.h that says why not; then nothing has
/// changed.
MUST_USE int trust_add(struct trust *trust, struct bytes word);

/// Adds the words of `list`, which commas separate. Returns as `trust_add`, and TRUST_NOBODY when
/// no proxy is believed after it. `bad` is the word that was refused, or all of `list`.
MUST_USE int trust_add_list(struct trust *trust, struct bytes list, struct bytes *bad);

/// Whether the proxy with this address is believed.
bool trust_has(const struct trust *trust, const struct ip *ip);
