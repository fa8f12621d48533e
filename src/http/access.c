// SPDX-License-Identifier: MIT
#include "http/access.h"

#include <string.h>

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

void access_log(const struct access_record *record)
{
    struct log_field method = field_or_dash("method", record->method);
    struct log_field target = field_or_dash("target", access_target(record->target));
    if (record->reason == NULL) {
        LOG(record->level, "stream opened", method, target, log_bytes("ip", record->host),
            log_bytes("id", record->id));
        return;
    }
    LOG(record->level, record->is_stream ? "stream" : "request", method, target,
        log_int("status", record->status), log_int("bytes", (int64_t)record->bytes),
        log_duration("ms", (int64_t)record->duration_us), log_string("reason", record->reason),
        log_bytes("ip", record->host), log_bytes("id", record->id));
}

static struct log_field field_or_dash(const char *key, struct bytes text)
{
    return log_bytes(key, text.len > 0 ? text : BYTES("-"));
}
