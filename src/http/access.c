// SPDX-License-Identifier: MIT
#include "http/access.h"

#include "base/log.h"
#include "http/conn.h"

void access_log(const struct exchange *exchange, enum exchange_reason reason, uint64_t now_ns)
{
    enum log_level level = conn_is_probe(exchange->conn) ? LOG_DEBUG : LOG_INFO;
    if (!log_is_on(level)) {
        return;
    }
    char id[EXCHANGE_ID_LEN_MAX];
    struct exchange_facts facts = exchange_facts(exchange);
    uint64_t started_ns = facts.started_ns == 0 ? now_ns : facts.started_ns;
    const struct response *response = &exchange->response;
    bool has_head = response->state != RESPONSE_FRESH;
    LOG(level, response->is_stream ? "stream" : "request",
        log_bytes("method", facts.method.len > 0 ? facts.method : BYTES("-")),
        log_bytes("target", facts.target.len > 0 ? facts.target : BYTES("-")),
        log_int("status", has_head ? response->status : 0),
        log_int("bytes", (int64_t)response->content_bytes),
        log_duration("ms", (int64_t)((now_ns - started_ns) / 1000)),
        log_string("reason", exchange_reason_text(reason)),
        log_bytes("id", bytes_of(id, exchange_id(exchange, id))));
}
