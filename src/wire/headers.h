// SPDX-License-Identifier: MIT
//
// The grammar of header fields (RFC 9110, section 5): which names and values are valid, and how the
// members of a list-based field are walked. These are pure questions about bytes; nothing is
// stored.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/// A field name is a token (RFC 9110, section 5.1). False for an empty one.
bool headers_name_is_valid(struct bytes name);

/// A field value holds visible ASCII, obs-text (0x80 to 0xFF), space and tab, and neither starts
/// nor ends with white space (RFC 9110, section 5.5). An empty value is valid. CR, LF and NUL are
/// not.
bool headers_value_is_valid(struct bytes value);

/// A token: one or more tchar (RFC 9110, section 5.6.2).
bool headers_is_token(struct bytes text);

/// Takes the next member of a comma-separated list from `rest`, trimmed. Commas inside quoted
/// strings do not separate. Empty members are skipped (RFC 9110, section 5.6.1.2). False at the
/// end.
bool headers_next_member(struct bytes *rest, struct bytes *member);

/// Whether the comma-separated list `value` has the token `token`, blind to case.
bool headers_list_has(struct bytes value, struct bytes token);

/// Parses the value of Content-Length: digits only (RFC 9110, section 8.6), one number. False when
/// it is anything else. A number over UINT64_MAX gives UINT64_MAX: too large for every limit.
bool headers_content_length(struct bytes value, uint64_t *length);

/// Where `separator` stands first outside quoted strings; the length of `text` when nowhere. A
/// quoted string that is never closed reaches to the end.
size_t headers_index_unquoted(struct bytes text, char separator);
