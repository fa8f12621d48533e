// SPDX-License-Identifier: MIT
//
// Compresses the content of a plain answer, where the client takes that and the content gains by
// it. An event stream never comes here: a compressor would hold its events back.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stddef.h>

struct exchange;

enum content_coding { CODING_PLAIN, CODING_GZIP, CODING_BR };

enum {
    COMPRESS_BYTES_MIN = 1024,             // below it the fields take what the coding saves
    COMPRESS_BYTES_MAX = 64 * 1024 * 1024, // beyond it a thread would be busy for seconds
};

/// Decides how the content of the answer to `exchange`, whose response is fresh, is coded. It stays
/// plain when its type is no text, when the response has a Content-Encoding or a Content-Range, or
/// says `no-transform`, and for a status that has no content or only a part of it. Otherwise the
/// answer gets `Vary: Accept-Encoding`, whatever the client takes; and where the client takes a
/// coding that there is, that one counts which it likes best.
MUST_USE enum content_coding compress_choose(struct exchange *exchange);

/// Codes `content` into memory that the caller frees with `mem_free`. -ENOSPC when it is not
/// smaller then, or -ENOMEM; `out` is then NULL. On any thread; about 22 ns a byte of JSON.
MUST_USE int compress_bytes(enum content_coding coding, struct bytes content, char **out,
                            size_t *size);

/// Says in the response that its content is coded: Content-Encoding, and a strong ETag becomes a
/// weak one, because other bytes have the same meaning. Returns as `response_set_field`.
MUST_USE int compress_mark(struct exchange *exchange, enum content_coding coding);
