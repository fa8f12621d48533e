// SPDX-License-Identifier: MIT
//
// Conditional requests (RFC 9110, section 13): whether a GET or HEAD of a file is answered with the
// file, with 304 or with 412, and whether its Range counts. Pure.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/// The conditions of a request: the values of its fields, joined where they came several times. A
/// field that is absent has no address.
struct conditions {
    struct bytes if_match;
    struct bytes if_none_match;
    struct bytes if_modified_since;
    struct bytes if_unmodified_since;
    struct bytes if_range;
};

/// What is known of the content that would be sent.
struct validators {
    struct bytes etag;  // with its quotes; strong
    int64_t modified_s; // Last-Modified
    int64_t now_s;      // Date
};

enum condition {
    CONDITION_MET,          // the content is sent
    CONDITION_NOT_MODIFIED, // 304: the client has it
    CONDITION_FAILED,       // 412
};

/// Judges the conditions in the order of section 13.2.2: If-Match, or If-Unmodified-Since where
/// there is none; then If-None-Match, or If-Modified-Since where there is none. A date that is none
/// is as if the field was absent.
enum condition condition_judge(const struct conditions *conditions,
                               const struct validators *validators);

/// Whether Range counts, by If-Range (section 13.1.5): without that field it does. A tag has to be
/// the same, and strong. A date has to be the same, and more than a second old: a file may change
/// twice in a second.
bool condition_allows_range(const struct conditions *conditions,
                            const struct validators *validators);
