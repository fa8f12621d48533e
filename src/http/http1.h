// SPDX-License-Identifier: MIT
//
// The HTTP/1 codec's reading half: bytes to one request message (RFC 9112). The guard checks the
// grammar, llhttp parses the head, and what it forgives is refused here on top, each refusal with
// the section that asks for it. Chunked content is decoded by the guard alone: two decoders in a
// row that could disagree are how requests get smuggled. A reader serves one message and is then
// given back; an idle connection holds none. Owned by its conn.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "http/request.h"

#include <stddef.h>

struct http1;

enum http1_result {
    HTTP1_MORE,    // give more bytes
    HTTP1_DONE,    // this part (the head, or the body) is complete
    HTTP1_REFUSED, // see http1_status and http1_why; the connection cannot go on
};

struct http1 *http1_new(const struct limits *limits);
void http1_free(struct http1 *reader);

/// Makes a used reader ready for the next message.
void http1_restart(struct http1 *reader);

/// Reads the head. `at` is the first byte of the head, of which the first `seen_len` bytes have
/// been passed in before (unchanged since) and `len` are there in all. For HTTP1_DONE, `request` is
/// filled in and `*taken` is the head's length; for HTTP1_MORE, `*taken` is `len` and the bytes
/// must be kept.
MUST_USE enum http1_result http1_head(struct http1 *reader, char *at, size_t seen_len, size_t len,
                                      struct request *request, size_t *taken);

/// Reads the body of `request` into its `body`, whose ceiling is the limit (413 beyond). `*taken`
/// of the bytes were consumed.
MUST_USE enum http1_result http1_body(struct http1 *reader, struct bytes bytes,
                                      struct request *request, size_t *taken);

/// The status that answers what was refused, and a sentence that says why.
int http1_status(const struct http1 *reader);
const char *http1_why(const struct http1 *reader);
