// SPDX-License-Identifier: MIT
//
// Content negotiation with the Accept field (RFC 9110, section 12.5.1). The field comes from the
// peer, so whatever in it is not a media range counts as absent and is never an error. Pure.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

/// The quality, in thousandths (0 to 1000), that `accept` gives to the media type `type` ("a/b",
/// lower case, without parameters). The most specific range decides: first `type/subtype`, then
/// `type/*`, then `*/*`; a range with a parameter never matches, because the plain type has none.
/// When several equally specific ranges match, the highest quality counts. 0 when nothing matches.
/// An empty field value, and one without a single well-formed range, accept everything: 1000.
int accept_quality(struct bytes accept, struct bytes type);
