// SPDX-License-Identifier: MIT
//
// Request targets, authorities and percent-encoding (RFC 9112, section 3.2; RFC 3986). All of it
// comes from the peer, so every function is exact, bounded and fuzzed. Pure; what is returned
// points into the caller's bytes.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

enum target_form {
    TARGET_ORIGIN,    // /path?query
    TARGET_ABSOLUTE,  // http://authority/path?query
    TARGET_AUTHORITY, // host:port, for CONNECT only
    TARGET_ASTERISK,  // *, for OPTIONS only
};

struct target {
    enum target_form form;
    bool has_dot_segment;   // the path, decoded, has a segment "." or ".."; a backslash divides too
    struct bytes authority; // absolute and authority form; otherwise empty
    struct bytes path;      // still percent-encoded, starts with "/"; "*" for the asterisk form
    struct bytes query;     // still percent-encoded, without "?"; empty when there is none
};

/// Splits and checks a request target. Which forms are legal depends on the method: authority form
/// with CONNECT and nothing else with it; "*" with OPTIONS only. Refused (false): any byte that no
/// URL serialiser leaves raw (controls, space, non-ASCII, `"`, `<`, `>`, `\` in a path, `#`: a
/// fragment is never sent), a bad percent sequence, an encoded NUL in the path, a scheme other than
/// http and https, an empty or invalid authority, userinfo. `|`, `^`, `{`, `}`, `[`, `]` and the
/// backtick pass, since the WHATWG URL serialiser that every browser uses leaves them raw (and `\`
/// in the query).
MUST_USE bool url_split_target(struct bytes method, struct bytes text, struct target *target);

/// Whether `host` is a valid, non-empty uri-host with an optional port (RFC 9110, section 7.2; RFC
/// 3986, section 3.2.2): reg-name, IPv4, or an IP literal in brackets; port 0 to 65535, may be
/// empty.
bool url_host_is_valid(struct bytes host);

/// Whether `host`, which is valid, is the host that `wanted` names. Case does not matter, nor does
/// the port unless `wanted` has one.
bool url_host_is(struct bytes host, struct bytes wanted);

/// Decodes %XX (and, with `plus_is_space`, "+") to `out`, which has room for `text.len` bytes;
/// returns how many were written. A bad sequence is kept as it stands.
size_t url_decode(struct bytes text, bool plus_is_space, char *out);

/// Writes `path`, which `url_split_target` accepted, to `out` in the one spelling that all
/// encodings of it share. `out` has room for `path.len` bytes; returns how many were written. Bytes
/// that may stand raw in a path are raw, the others are encoded in upper case; an encoded slash
/// stays encoded.
size_t url_canonical_path(struct bytes path, char *out);

/// Whether `text` has a slash that is percent-encoded.
bool url_has_encoded_slash(struct bytes text);

/// Takes the next `name=value` pair of a query or form body, both still encoded; without "=" the
/// value is empty. Empty pairs are skipped. False at the end.
bool url_next_pair(struct bytes *rest, struct bytes *name, struct bytes *value);
