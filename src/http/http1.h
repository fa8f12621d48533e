// SPDX-License-Identifier: MIT
//
// The HTTP/1 codec's reading half: bytes to one request message (RFC 9112). The guard checks the
// grammar, llhttp parses the head, and what it forgives is refused here on top, each refusal with
// the section that asks for it. Chunked content is decoded by the guard alone: two decoders in a
// row that could disagree are how requests get smuggled. A parser serves one message, by the limits
// that it was started with, and is then given back; an idle connection holds none. Owned by its
// conn.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "http/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http1;

enum http1_result {
    HTTP1_MORE,    // give more bytes
    HTTP1_DONE,    // this part (the head, or the body) is complete
    HTTP1_REFUSED, // see http1_status and http1_why; the connection cannot go on
};

/// Makes a parser, which is stopped.
struct http1 *http1_new(void);
void http1_free(struct http1 *parser);

/// Makes a stopped parser ready for a message, which is judged by `limits`. Holds them.
void http1_start(struct http1 *parser, const struct limits *limits);

/// Stops the parser, after its message was read or given up, and lets go of the limits. Idempotent.
void http1_stop(struct http1 *parser);

/// The limits of the message.
const struct limits *http1_limits(const struct http1 *parser);

/// Reads the head. `at` is its first byte and `len` bytes are there in all, those of earlier calls
/// included and unchanged. `request` is zero before. For HTTP1_DONE it is filled in and `*taken` is
/// the head's length. For HTTP1_MORE, `*taken` is 0 and the bytes must be kept; or all of them were
/// empty lines, which begin no message (RFC 9112, section 2.2), and `*taken` is `len`.
MUST_USE enum http1_result http1_head(struct http1 *parser, char *at, size_t len,
                                      struct request *request, size_t *taken);

/// Sets the method of a request whose head is refused, for as much of it as was read: the answer to
/// HEAD has no content, whatever it says (RFC 9110, section 9.3.2).
void http1_note_method(struct bytes head, struct request *request);

/// Reads more of the body into its content, whose ceiling is the limit (413 beyond, 503 where there
/// is no memory for it). `*taken` of the bytes were consumed.
MUST_USE enum http1_result http1_body(struct http1 *parser, struct bytes bytes,
                                      struct request_body *body, size_t *taken);

/// Bytes that the peer has announced, of a chunk or of a sized body, and that have not come yet.
uint64_t http1_body_left(const struct http1 *parser, const struct request_body *body);

/// Bytes of chunked content that were read and not kept, because the body is unwanted.
size_t http1_skipped_len(const struct http1 *parser);

/// The status that answers what was refused, and a sentence that says why.
int http1_status(const struct http1 *parser);
const char *http1_why(const struct http1 *parser);
