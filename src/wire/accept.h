// SPDX-License-Identifier: MIT
//
// Content negotiation with the fields Accept and Accept-Encoding (RFC 9110, sections 12.5.1 and
// 12.5.3). The fields come from the peer, so whatever in them is no media range, or no coding,
// counts as absent and is never an error. Pure.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

/// The quality, in thousandths (0 to 1000), that `accept` gives to the media type `type` ("a/b",
/// lower case, without parameters). The most specific range decides: first `type/subtype`, then
/// `type/*`, then `*/*`; a range with a parameter never matches, because the plain type has none.
/// When several equally specific ranges match, the highest quality counts. 0 when nothing matches.
/// An empty field value, and one without a single well-formed range, accept everything: 1000.
int accept_quality(struct bytes accept, struct bytes type);

/// The quality, in thousandths (0 to 1000), that Accept-Encoding gives to the content coding
/// `coding` ("gzip", lower case). A coding that is not named has the quality of `*`. Without either
/// it is 0. `x-gzip` is another name of `gzip` (RFC 9110, section 8.4.1.3).
int accept_encoding_quality(struct bytes accept_encoding, struct bytes coding);
