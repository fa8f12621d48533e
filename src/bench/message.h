// SPDX-License-Identifier: MIT
//
// The requests that the load generator sends, as browsers write them. Pure.
#pragma once

#include "base/buf.h"

struct client_target;
struct options;

/// Appends the request for the event stream of `target`, with the fields of --header.
void message_put_get(struct buf *out, const struct client_target *target,
                     const struct options *options);

/// Appends the head of a POST with `size` bytes of plain text.
void message_put_post(struct buf *out, const struct client_target *target,
                      const struct options *options, uint64_t size);
