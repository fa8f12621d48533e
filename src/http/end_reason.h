// SPDX-License-Identifier: MIT
//
// Why an exchange ended. There is one type for it: a connection, an exchange and a stream all say
// their end in these words, and so do the access log, the metrics and `close` listeners.
#pragma once

enum end_reason {
    END_FINISHED, // the response is complete and with the kernel
    END_LEFT,     // the peer closed or reset the connection
    END_SLOW,     // the peer did not read: what waits for it, or how far it lags, is too much
    END_FAILED,   // the handler failed after the head was out
    END_TIMEOUT,  // a deadline of the connection passed: the peer stalled, or vanished
    END_SHUTDOWN, // the server is ending
    END_REFUSED,  // the message was malformed or over a limit, or the server is full
    END_RELOADED, // new scripts have taken the place of those that answered
};

/// The word for `reason`: "finished", "left", "slow", "failed", "timeout", "shutdown", "refused",
/// "reload". NULL for a number that is no reason.
const char *end_reason_text(enum end_reason reason);

/// What a connection's failure (a negative errno) means: END_TIMEOUT when the kernel has waited for
/// the peer for `peer_timeout`, or else END_LEFT.
enum end_reason end_reason_of_failure(int failure);
