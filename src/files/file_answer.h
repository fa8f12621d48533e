// SPDX-License-Identifier: MIT
//
// Answers a request with a file that was found: conditions (RFC 9110, section 13), Range
// (section 14), and the fields that say what the file is. A small file is sent from memory, another
// one goes on as a download.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>

struct exchange;
struct lookup;

struct file_answer {
    struct bytes name;          // of the file, or its path: its end says the type
    struct bytes download_name; // UTF-8; what a browser keeps it as; empty: it shows the file
    struct bytes cache_control; // empty: as the response has it
    bool has_codings;           // which coding is sent depends on Accept-Encoding
};

/// Sends the answer. Takes the file or the content out of `lookup`, which has found it. The
/// response is fresh. Fields that it has stay, but for ETag, Last-Modified, Accept-Ranges and those
/// of the coding. With another status than 200 the whole file is sent, whatever the request asks.
/// Returns as `exchange_send`; or -ENOMEM, and nothing was sent.
MUST_USE int file_answer_send(struct exchange *exchange, struct lookup *lookup,
                              const struct file_answer *answer);
