// SPDX-License-Identifier: MIT
#include "http/origin.h"

#include "http/request.h"
#include "wire/trust.h"

#include <assert.h>

static_assert((int)PEER_HOST_BYTES_MAX >= (int)FORWARDED_CLIENT_MAX, "the log has room for it");

static bool is_trusted(const struct trust *trust, struct bytes peer);

void origin_init(struct origin *origin, const struct request *request, const struct trust *trust,
                 struct bytes peer)
{
    DCHECK(peer.len < sizeof(origin->_peer));
    origin->_request = request;
    origin->_peer_len = peer.len;
    memcpy(origin->_peer, peer.at, peer.len);
    origin->_is_forwarded = trust != NULL && is_trusted(trust, peer);
    if (!origin->_is_forwarded) {
        return;
    }
    forwarded_init(&origin->_forwarded, trust);
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        forwarded_count(&origin->_forwarded, field.name, field.value);
    }
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        forwarded_take(&origin->_forwarded, field.name, field.value);
    }
}

size_t origin_client(const struct origin *origin, char *out)
{
    size_t len = origin->_is_forwarded ? forwarded_client(&origin->_forwarded, out) : 0;
    if (len == 0) {
        len = origin->_peer_len;
        memcpy(out, origin->_peer, len);
    }
    return len;
}

bool origin_is_https(const struct origin *origin)
{
    return origin->_is_forwarded && forwarded_is_https(&origin->_forwarded);
}

/// The host of an absolute target counts before the field Host (RFC 9112, section 3.2.2).
struct bytes origin_host(const struct origin *origin)
{
    struct bytes host = BYTES("");
    if (origin->_is_forwarded) {
        host = forwarded_host(&origin->_forwarded);
    }
    if (host.len == 0) {
        host = origin->_request->target.authority;
    }
    if (host.len == 0 && !request_field(origin->_request, BYTES("host"), &host)) {
        return BYTES("");
    }
    return host;
}

/// Whether the peer, an IP address or "unix", is a trusted proxy.
static bool is_trusted(const struct trust *trust, struct bytes peer)
{
    struct ip ip;
    return ip_parse(peer, &ip) ? trust_has(trust, &ip) : trust->has_unix;
}
