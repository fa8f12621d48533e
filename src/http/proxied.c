// SPDX-License-Identifier: MIT
//
// What came is kept until the header is whole, bounded by `head_bytes` and `head_timeout`. Then the
// connection of the service's own codec takes over the transport, with the client that the header
// names as its peer, and is given what came behind the header; this one leaves the service.
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/codecs.h"
#include "http/service.h"
#include "net/socket_address.h"
#include "net/timer.h"
#include "net/transport.h"
#include "wire/proxy_header.h"

#include <assert.h>
#include <errno.h>

/// A connection whose header has not come yet.
struct proxied {
    struct connection base;
    struct transport *transport;
    struct socket_address peer; // the balancer
    struct buf kept;
    size_t bytes_max; // of the header
    struct timer timer;
    bool is_over_limit;
    bool is_closed;
};

static_assert(offsetof(struct proxied, base) == 0, "as conn.c has it");

static void proxied_open(struct codec *codec, struct transport *transport,
                         const struct socket_address *peer, bool is_over_limit);
static void drain(struct connection *connection);
static void close_connection(struct connection *connection, enum end_reason reason);
static bool each_exchange(struct connection *connection, codec_visit_fn visit, void *user);
static void free_codec(struct codec *codec);
static void on_bytes(void *user, char *at, size_t len);
static void on_end(void *user);
static void on_room(void *user);
static void on_failed(void *user, int failure);
static void on_closed(void *user);
static void on_deadline(struct timer *timer);
static struct service *service_of(const struct proxied *proxied);
static void pass_on(struct proxied *proxied, const struct proxy_header *header, char *at,
                    size_t len);
static void refuse(struct proxied *proxied, int failure);
static void close_down(struct proxied *proxied);
static void proxied_free(struct proxied *proxied);
static struct socket_address source_of(const struct proxied *proxied,
                                       const struct proxy_header *header);

static const struct connection_ops proxied_ops = {
    .open = proxied_open,
    .drain = drain,
    .close = close_connection,
    .each_exchange = each_exchange,
    .release = free_codec,
};

static const struct transport_events events = {
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_room = on_room,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

void codecs_use_proxied(struct service *service)
{
    struct codec *codec = mem_new(struct codec);
    codec->connection_ops = &proxied_ops;
    codec->service = service;
    service_set_proxied_codec(service, codec);
}

static void free_codec(struct codec *codec)
{
    mem_free(codec);
}

static void proxied_open(struct codec *codec, struct transport *transport,
                         const struct socket_address *peer, bool is_over_limit)
{
    struct proxied *proxied = mem_new(struct proxied);
    const struct limits *limits = codec->service->limits;
    proxied->base.carrier.codec = codec;
    proxied->transport = transport;
    proxied->peer = *peer;
    proxied->is_over_limit = is_over_limit;
    proxied->bytes_max = limits->head.bytes;
    buf_init(&proxied->kept, PROXY_TEXT_BYTES_MAX + proxied->bytes_max);
    timer_init(&proxied->timer, &codec->service->loop->timers, on_deadline);
    timer_arm(&proxied->timer, limits->conn.head_timeout_ms);
    service_add(codec->service, &proxied->base);
    transport_bind(transport, &events, proxied);
    transport_start(transport);
}

/// Nothing was asked yet, so nothing is owed.
static void drain(struct connection *connection)
{
    close_down(CONTAINER_OF(connection, struct proxied, base));
}

static void close_connection(struct connection *connection, enum end_reason reason)
{
    (void)reason; // there is no exchange to be told
    close_down(CONTAINER_OF(connection, struct proxied, base));
}

static bool each_exchange(struct connection *connection, codec_visit_fn visit, void *user)
{
    (void)connection;
    (void)visit;
    (void)user;
    return true;
}

/// Mostly the header comes in one piece, and is read where it lies. Of what comes otherwise no more
/// is kept than the longest header has: the parser has decided before that is passed.
static void on_bytes(void *user, char *at, size_t len)
{
    struct proxied *proxied = user;
    struct proxy_header header;
    struct bytes come = bytes_of(at, len);
    size_t kept_len = buf_len(&proxied->kept);
    size_t room = buf_room(&proxied->kept);
    bool has_memory = true;
    if (kept_len > 0) {
        has_memory = buf_append(&proxied->kept, bytes_of(at, len < room ? len : room));
        come = buf_bytes(&proxied->kept);
    }
    ssize_t taken = proxy_header_parse(come, proxied->bytes_max, &header);
    if (taken == 0 && kept_len == 0) {
        has_memory = buf_append(&proxied->kept, come);
    }
    if (!has_memory || taken < 0) {
        refuse(proxied, has_memory ? (int)taken : -ENOMEM);
    } else if (taken > 0) {
        DCHECK((size_t)taken > kept_len && (size_t)taken - kept_len <= len);
        size_t skipped = (size_t)taken - kept_len;
        pass_on(proxied, &header, at + skipped, len - skipped);
    }
}

/// Hands the transport over, and what came behind the header. *May call Lua.*
static void pass_on(struct proxied *proxied, const struct proxy_header *header, char *at,
                    size_t len)
{
    struct service *service = service_of(proxied);
    struct transport *transport = proxied->transport;
    struct socket_address source = source_of(proxied, header);
    service->codec->connection_ops->open(service->codec, transport, &source,
                                         proxied->is_over_limit);
    timer_deinit(&proxied->timer);
    buf_reset(&proxied->kept);
    proxied_free(proxied);
    if (len > 0) {
        transport->events->on_bytes(transport->user, at, len);
    }
}

static struct socket_address source_of(const struct proxied *proxied,
                                       const struct proxy_header *header)
{
    struct socket_address source = proxied->peer;
    switch (header->source) {
    case PROXY_SOURCE_PEER:
        break;
    case PROXY_SOURCE_IP:
        socket_address_of_ip(&source, header->ip.bytes, ip_is_four(&header->ip), header->port);
        break;
    case PROXY_SOURCE_UNIX:
        IGNORE(socket_address_of_path(&source, "")); // it is short enough
        break;
    }
    return source;
}

/// A balancer that only looks whether the server is there sends nothing. Nobody has to hear of it.
static void on_end(void *user)
{
    struct proxied *proxied = user;
    if (buf_is_empty(&proxied->kept)) {
        close_down(proxied);
    } else {
        refuse(proxied, PROXY_CUT);
    }
}

static void on_room(void *user)
{
    (void)user;
    UNREACHABLE(); // nothing is written
}

static void on_failed(void *user, int failure)
{
    (void)failure; // whatever failed, the peer is gone
    close_down(user);
}

static void on_closed(void *user)
{
    struct proxied *proxied = user;
    CHECK(proxied->is_closed);
    proxied_free(proxied);
}

static void on_deadline(struct timer *timer)
{
    struct proxied *proxied = CONTAINER_OF(timer, struct proxied, timer);
    if (buf_is_empty(&proxied->kept)) {
        close_down(proxied);
        return;
    }
    limit_met("head_timeout", service_of(proxied)->limits->conn.head_timeout_ms);
    refuse(proxied, PROXY_LATE);
}

static struct service *service_of(const struct proxied *proxied)
{
    return proxied->base.carrier.codec->service;
}

static void refuse(struct proxied *proxied, int failure)
{
    char host[PEER_HOST_BYTES_MAX];
    size_t len = socket_address_host(&proxied->peer, host, sizeof(host));
    if (failure == PROXY_TOO_LONG) {
        limit_met("head_bytes", proxied->bytes_max);
    }
    LOG(LOG_WARN, "a connection to a listener with proxy_protocol is refused",
        log_bytes("ip", bytes_of(host, len)), log_string("error", error_text(failure)));
    close_down(proxied);
}

/// Closes. Idempotent.
static void close_down(struct proxied *proxied)
{
    if (!proxied->is_closed) {
        proxied->is_closed = true;
        timer_deinit(&proxied->timer);
        buf_reset(&proxied->kept);
        transport_close(proxied->transport);
    }
}

static void proxied_free(struct proxied *proxied)
{
    service_forget(service_of(proxied), &proxied->base);
    mem_free(proxied);
}
