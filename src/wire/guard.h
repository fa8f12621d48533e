// SPDX-License-Identifier: MIT
//
// The strict grammar of an HTTP/1 message head and of chunked framing (RFC 9112), checked byte by
// byte before the parser sees anything. A parser forgives mistakes; the guard does not, so a
// message that passes it has exactly one reading. The guard never allocates, never looks at meaning
// (which methods exist, which lengths are too large), and takes its input in any cut. It counts
// against three of the limits that it is given: the bytes and fields of a head, which hold for
// trailers too, and the bytes of a target. One guard per message, zero-initialised by its `init`;
// all calls for a message are given the same limits.
#pragma once

#include "base/bytes.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum guard_result {
    GUARD_MORE,               // legal so far, give more
    GUARD_DONE,               // the head, or the chunked body, is complete
    GUARD_BAD,                // malformed; `guard->why` says what, with the section
    GUARD_BAD_VERSION,        // well-formed, but not HTTP/1.0 or HTTP/1.1
    GUARD_METHOD_TOO_LONG,    // it does not end within `head_bytes`
    GUARD_TARGET_TOO_LONG,    // for `target_bytes`
    GUARD_TARGET_OVER_HEAD,   // it does not end within `head_bytes`
    GUARD_HEAD_TOO_LARGE,     // for `head_bytes`
    GUARD_TOO_MANY_FIELDS,    // for `head_fields`; of a head, or of trailers
    GUARD_CHUNKS_TOO_LARGE,   // extensions, zeros and other framing beyond the bound
    GUARD_TRAILERS_TOO_LARGE, // for `head_bytes`
};

/// What a refusal of a guard means to the peer, and which limit was in the way.
struct guard_refusal {
    int status;          // of the answer
    const char *why;     // a sentence, lower case; NULL for GUARD_BAD, of which the guard says it
    const char *limit;   // its name; NULL when none was in the way
    size_t limit_offset; // of its number in `struct head_limits`
};

/// The row of the table of refusals for `result`, which is one: neither GUARD_MORE nor GUARD_DONE.
const struct guard_refusal *guard_refusal_of(enum guard_result result);

/// The number of the limit that was in the way; `refusal->limit` is not NULL.
uint64_t guard_refusal_bound(const struct guard_refusal *refusal, const struct head_limits *limits);

/// Checks a message head (RFC 9112, sections 2 to 5): at most 8 empty lines (CRLF) before the
/// request line (2.2); method token, one SP, target of visible bytes, one SP, `HTTP/` DIGIT `.`
/// DIGIT, CRLF (3); field lines of a token, a colon without white space before it, a valid value,
/// CRLF (5.1, 5.5); no line folding (5.2); no bare CR, bare LF or NUL (2.2); then an empty line.
struct head_guard {
    const char *why; // after GUARD_BAD: a sentence, lower case, with the RFC section
    size_t byte_count;
    size_t field_count;
    size_t target_len;
    uint8_t _state;
    uint8_t _version_len; // bytes seen of `HTTP/1.1 CRLF`
    uint8_t _empty_lines;
    char _major, _minor;
    bool _keeps_tabs;
};

void head_guard_init(struct head_guard *guard);

/// Whether anything but empty lines was seen: they may stand between messages and begin none.
bool head_guard_has_begun(const struct head_guard *guard);

/// Makes a guard for a trailer section, which has no request line. It changes no byte.
void head_guard_init_trailers(struct head_guard *guard);

/// Checks more of the head. `*taken` is set to how many bytes at `at` belong to the head: all of
/// them for GUARD_MORE; up to and with the last LF for GUARD_DONE; those before the offending one
/// otherwise. Tabs that stand as optional white space around a field value are turned into spaces
/// in place, because the parser behind mistakes them. What trails a value is known only at the CR
/// behind it, so the bytes of the same head that were taken before must still stand directly in
/// front of `at`. After anything but GUARD_MORE the guard has had its say; calling it again is our
/// mistake.
enum guard_result head_guard_take(struct head_guard *guard, char *at, size_t len,
                                  const struct head_limits *limits, size_t *taken);

/// Checks chunked framing (RFC 9112, section 7.1): 1*HEXDIG size (overflow is GUARD_BAD),
/// extensions `BWS ; BWS token [BWS = BWS (token | quoted-string)]`, CRLF; exactly that many bytes;
/// CRLF; the last chunk; trailer fields under the rules of the head; an empty line. Framing bytes
/// (everything but data and trailers) may total `head_bytes` plus 16 a chunk (16 is far above an
/// honest size line).
struct chunk_guard {
    const char *why;
    uint64_t _data_left; // bytes of the current chunk still to come, or its size so far
    size_t _framing_bytes;
    size_t _chunk_count;
    uint8_t _state;
    bool _has_digit;
    struct head_guard _trailers;
};

/// What `chunk_guard_take` found at the front of the bytes.
struct chunk_part {
    size_t taken;      // bytes consumed
    struct bytes data; // a run of body data inside them; empty when they were all framing
};

void chunk_guard_init(struct chunk_guard *guard);

/// Takes framing up to the next run of data, or one run of data; call again with the rest while the
/// result is GUARD_MORE and bytes are left. GUARD_DONE after the empty line that ends the trailers.
enum guard_result chunk_guard_take(struct chunk_guard *guard, struct bytes bytes,
                                   const struct head_limits *limits, struct chunk_part *part);

/// Bytes of data that the current chunk has announced and that have not come. 0 while its size line
/// is not complete: what was read of that may yet be refused.
uint64_t chunk_guard_data_left(const struct chunk_guard *guard);
