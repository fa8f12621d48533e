// SPDX-License-Identifier: MIT
//
// The header fields of a request, as a list of curl's.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

struct curl_slist;

/// Makes the list of `fields`: "name: value", each with an LF behind it. It is the caller's, to be
/// freed by curl's `slist_free_all`. Returns 0 or -ENOMEM, and then there is no list.
MUST_USE int curl_fields_list(struct bytes fields, struct curl_slist **list);
