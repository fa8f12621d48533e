// SPDX-License-Identifier: MIT
//
// The channels of the server, by name, and what they have in common: the loop, the limits, and one
// count of everything published, which is the order of events across channels. Owned by the server;
// it lives longer than scripts and connections. One thread.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/map.h"

#include <stddef.h>
#include <stdint.h>

struct channel;
struct loop;

struct hub {
    struct loop *loop;
    const struct limits *limits;
    struct map channels;
    size_t channel_count; // closed ones included
    uint64_t stamp;       // of the newest frame
    struct buf scratch;   // where events are encoded
};

/// A hub without channels. `loop` and `limits` must outlive it.
void hub_init(struct hub *hub, struct loop *loop, const struct limits *limits);

/// Frees all channels. CHECKs that nobody reads or holds one.
void hub_deinit(struct hub *hub);

/// The channel `name`, or NULL.
struct channel *hub_find(const struct hub *hub, struct bytes name);

/// Makes the channel `name`, which must not be there, with the default options. NULL when there are
/// as many as the limit `channels` allows. It goes again unless somebody holds or joins it.
struct channel *hub_make(struct hub *hub, struct bytes name);
