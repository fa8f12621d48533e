// SPDX-License-Identifier: MIT
//
// What the guards refuse, and what becomes of it: one row a result. The statuses are those of RFC
// 9110, section 15. A method that does not end within `head_bytes` is one that nobody implements,
// hence 501 (RFC 9112, section 3).
#include "wire/guard.h"

#include "base/check.h"

#include <string.h>

static const struct guard_refusal refusals[] = {
    [GUARD_BAD] = {400, NULL, NULL, 0},
    [GUARD_BAD_VERSION] = {505, "only HTTP/1.0 and HTTP/1.1 are spoken here", NULL, 0},
    [GUARD_METHOD_TOO_LONG] = {501, "the method is longer than any other (RFC 9112, 3)",
                               "head_bytes", offsetof(struct head_limits, bytes)},
    [GUARD_TARGET_TOO_LONG] = {414, "the request target is longer than target_bytes",
                               "target_bytes", offsetof(struct head_limits, target_bytes)},
    [GUARD_TARGET_OVER_HEAD] = {414, "the request target does not fit into head_bytes",
                                "head_bytes", offsetof(struct head_limits, bytes)},
    [GUARD_HEAD_TOO_LARGE] = {431, "the head is larger than head_bytes", "head_bytes",
                              offsetof(struct head_limits, bytes)},
    [GUARD_TOO_MANY_FIELDS] = {431, "there are more header fields than head_fields", "head_fields",
                               offsetof(struct head_limits, fields)},
    [GUARD_CHUNKS_TOO_LARGE] = {400, "too much framing around the chunks (RFC 9112, 7.1.1)",
                                "head_bytes", offsetof(struct head_limits, bytes)},
    [GUARD_TRAILERS_TOO_LARGE] = {431, "the trailers are larger than head_bytes", "head_bytes",
                                  offsetof(struct head_limits, bytes)},
};

const struct guard_refusal *guard_refusal_of(enum guard_result result)
{
    CHECK(result < sizeof(refusals) / sizeof(refusals[0]));
    const struct guard_refusal *refusal = &refusals[result];
    CHECK(refusal->status >= 400 && refusal->status <= 599);
    DCHECK((refusal->why == NULL) == (result == GUARD_BAD));
    return refusal;
}

uint64_t guard_refusal_bound(const struct guard_refusal *refusal, const struct head_limits *limits)
{
    uint64_t bound;
    DCHECK(refusal->limit != NULL);
    memcpy(&bound, (const char *)limits + refusal->limit_offset, sizeof(bound));
    return bound;
}
