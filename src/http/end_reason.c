// SPDX-License-Identifier: MIT
#include "http/end_reason.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

const char *end_reason_text(enum end_reason reason)
{
    static const char *const texts[] = {"finished", "left",     "slow",    "failed",
                                        "timeout",  "shutdown", "refused", "reload"};
    return (size_t)reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason] : NULL;
}

/// The kernel gives up on a peer that acknowledges nothing with ETIMEDOUT. If a router has said
/// meanwhile that the peer cannot be reached, the kernel gives up with the router's reason,
/// EHOSTUNREACH or ENETUNREACH: that is a timeout, too.
enum end_reason end_reason_of_failure(int failure)
{
    bool is_timeout = failure == -ETIMEDOUT || failure == -EHOSTUNREACH || failure == -ENETUNREACH;
    return is_timeout ? END_TIMEOUT : END_LEFT;
}
