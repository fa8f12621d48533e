// SPDX-License-Identifier: MIT
//
// What trusted proxies have said of a request: the client's address, and the scheme and the host
// that it asked for. Each proxy on the way adds a member to a list: what it saw of whoever
// connected to it. So the members at the right come from the proxies that are nearest, and a client
// can have written whatever stands at the left. The client is the first member from the right whose
// address is not that of a trusted proxy; or the first of all when each is.
//
//     trusted: 10.0.0.0/8     X-Forwarded-For: 8.8.8.8, 203.0.113.7, 10.0.0.3
//                                              made up  the client   a proxy
//
// The fields are walked twice, and nothing is kept of them but slices: `forwarded_count` finds the
// client, and `forwarded_take` then finds what was said of its scheme and its host. Only to be
// asked when the peer of the connection is a trusted proxy itself. Pure.
#pragma once

#include "base/bytes.h"
#include "wire/ip.h"
#include "wire/trust.h"

#include <stdbool.h>
#include <stddef.h>

enum { FORWARDED_CLIENT_MAX = IP_TEXT_MAX };

/// What a member says of an address.
enum forwarded_kind {
    FORWARDED_NONE,    // there is no member
    FORWARDED_UNKNOWN, // "unknown", or what is no address
    FORWARDED_HIDDEN,  // a name that begins with "_" (RFC 7239, section 6.3)
    FORWARDED_UNIX,    // a Unix socket
    FORWARDED_IP,
};

struct forwarded_node {
    enum forwarded_kind kind;
    struct ip ip;
    struct bytes text; // of FORWARDED_HIDDEN
};

/// The lists of one kind of fields, as far as they were walked.
struct forwarded_list {
    struct forwarded_node client;
    size_t client_index;
    size_t member_count;
    struct bytes scheme; // of the client; empty when nothing was said
    struct bytes host;
};

struct forwarded {
    const struct trust *_trust;
    struct forwarded_list _standard;
    struct forwarded_list _x;
    size_t _scheme_count; // members of X-Forwarded-Proto
    size_t _host_count;   // members of X-Forwarded-Host
    size_t _scheme_index; // of the next member in the second walk
    size_t _host_index;
    bool _has_standard;
    bool _has_x;
};

/// Begins. `trust` must outlive the walks.
void forwarded_init(struct forwarded *forwarded, const struct trust *trust);

/// The first walk: to be called with each field of the request, in order. Fields of other names are
/// passed over. The values must outlive the answers.
void forwarded_count(struct forwarded *forwarded, struct bytes name, struct bytes value);

/// The second walk, with the same fields.
void forwarded_take(struct forwarded *forwarded, struct bytes name, struct bytes value);

/// Writes the address of the client to `out`, which has FORWARDED_CLIENT_MAX: an IP address,
/// "unix", a hidden name such as "_gazonk", or "unknown". Returns its length, or 0 when the proxies
/// said nothing: then the peer of the connection is the client.
size_t forwarded_client(const struct forwarded *forwarded, char *out);

/// Whether the client asked by https.
bool forwarded_is_https(const struct forwarded *forwarded);

/// The host that the client asked for, with its port if it named one; empty when nothing was said,
/// or what is no host.
struct bytes forwarded_host(const struct forwarded *forwarded);
