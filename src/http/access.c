// SPDX-License-Identifier: MIT
#include "http/access.h"

#include "base/log.h"

void access_log(const struct exchange *exchange, enum exchange_reason reason, uint64_t now_ns)
{
    if (!log_is_on(LOG_INFO)) {
        return;
    }
    char id[EXCHANGE_ID_LEN_MAX];
    uint64_t started_ns = exchange->started_ns == 0 ? now_ns : exchange->started_ns;
    const struct request *request = &exchange->request;
    const struct response *response = &exchange->response;
    bool has_head = response->state != RESPONSE_FRESH;
    LOG(LOG_INFO, response->is_stream ? "stream" : "request",
        log_bytes("method", request->method.len > 0 ? request->method : BYTES("-")),
        log_bytes("target", request->target_text.len > 0 ? request->target_text : BYTES("-")),
        log_int("status", has_head ? response->status : 0),
        log_int("bytes", (int64_t)response->content_bytes),
        log_duration("ms", (int64_t)((now_ns - started_ns) / 1000)),
        log_string("reason", exchange_reason_text(reason)),
        log_bytes("id", bytes_of(id, exchange_id(exchange, id))));
}
