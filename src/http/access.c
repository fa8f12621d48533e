// SPDX-License-Identifier: MIT
#include "http/access.h"

#include "base/log.h"
#include "http/conn.h"
#include "net/socket_address.h"

static bool has_query;

static struct log_field field_or_dash(const char *key, struct bytes text);

void access_show_query(bool is_shown)
{
    has_query = is_shown;
}

struct bytes access_target(struct bytes target)
{
    const char *query = target.len == 0 ? NULL : memchr(target.at, '?', target.len);
    return has_query || query == NULL ? target : bytes_of(target.at, (size_t)(query - target.at));
}

void access_log_opened(const struct exchange *exchange)
{
    char id[EXCHANGE_ID_LEN_MAX];
    char host[PEER_HOST_BYTES_MAX];
    struct exchange_facts facts = exchange_facts(exchange);
    LOG(LOG_DEBUG, "stream opened", field_or_dash("method", facts.method),
        field_or_dash("target", access_target(facts.target)),
        log_bytes("ip", bytes_of(host, exchange_peer_host(exchange, host))),
        log_bytes("id", bytes_of(id, exchange_id(exchange, id))));
}

void access_log(const struct exchange *exchange, enum end_reason reason, uint64_t now_ns)
{
    bool is_health_check = conn_is_health_check(exchange->conn);
    enum log_level level = is_health_check ? LOG_DEBUG : LOG_INFO;
    if (!log_is_on(level) || (is_health_check && exchange->response.status == 204)) {
        return; // the latter is a page that asks for newer code, once a second
    }
    char id[EXCHANGE_ID_LEN_MAX];
    char host[PEER_HOST_BYTES_MAX];
    struct exchange_facts facts = exchange_facts(exchange);
    uint64_t started_ns = facts.started_ns == 0 ? now_ns : facts.started_ns;
    const struct response *response = &exchange->response;
    bool has_head = response->state != RESPONSE_FRESH;
    LOG(level, response->is_stream ? "stream" : "request", field_or_dash("method", facts.method),
        field_or_dash("target", access_target(facts.target)),
        log_int("status", has_head ? response->status : 0),
        log_int("bytes", (int64_t)response->content_bytes),
        log_duration("ms", (int64_t)((now_ns - started_ns) / 1000)),
        log_string("reason", end_reason_text(reason)),
        log_bytes("ip", bytes_of(host, exchange_peer_host(exchange, host))),
        log_bytes("id", bytes_of(id, exchange_id(exchange, id))));
}

static struct log_field field_or_dash(const char *key, struct bytes text)
{
    return log_bytes(key, text.len > 0 ? text : BYTES("-"));
}
