// SPDX-License-Identifier: MIT
//
// Entity tags (RFC 9110, section 8.8.3): made for files, and looked for in the lists that a client
// sends in If-Match and If-None-Match. The lists are the peer's, so whatever is no tag matches
// nothing. Pure.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ETAG_LEN_MAX = 64 };

/// What is known of a file that changes when its content does.
struct etag_source {
    uint64_t size;
    uint64_t inode;
    int64_t modified_s;
    uint32_t modified_ns;
};

/// Writes the strong tag of a file to `out`, which has ETAG_LEN_MAX bytes, quotes included. Returns
/// its length. A file that takes another's place by a rename has another inode, and so another tag,
/// even when a tool gave both the same time and they are equally large.
size_t etag_of_file(const struct etag_source *source, char *out);

enum etag_comparison { ETAG_STRONG, ETAG_WEAK };

/// Whether the list `tags` (the value of If-Match or If-None-Match) has `tag`, which has its
/// quotes. A strong comparison takes no tag with `W/` on either side (section 8.8.3.2). "*" is not
/// looked at here. What stands behind a mistake in the list is not read.
bool etag_list_has(struct bytes tags, struct bytes tag, enum etag_comparison comparison);
