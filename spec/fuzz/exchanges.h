// SPDX-License-Identifier: MIT
//
// The two sides of an HTTP/1 connection as a slow, plain reader sees them, written from RFC 9112
// and from nothing else: the requests that bytes hold, and the responses. Both see all bytes at
// once and know no limits.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plain_request {
    struct bytes method;
    struct bytes target;
    size_t body_len;
    bool is_1_0;
    struct bytes rest; // what follows the request
};

/// Reads the complete request at the front of `text`; false when there is none.
bool plain_request(struct bytes text, struct plain_request *request);

struct plain_response {
    int status;
    bool is_close;   // the connection ends after it
    struct buf text; // head and decoded body, without the value of Date
    struct bytes rest;
};

/// Reads the response at the front of `text`, and fails loudly when it is not well formed.
/// `is_head`: it answers HEAD. `is_unknown`: it may answer HEAD, so only the last one can be
/// without its body.
void plain_response(struct bytes text, bool is_head, bool is_unknown,
                    struct plain_response *response);
