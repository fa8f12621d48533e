// SPDX-License-Identifier: MIT
//
// Whether a client received what it should, and was disconnected only as it should: the promise of
// channels in code. Whatever breaks it ends the simulation.
#pragma once

#include "client.h"

#include <stdbool.h>
#include <stdint.h>

/// One part of an id, as the simulator reads it.
struct id_part {
    uint64_t epoch;
    uint64_t sequence;
};

enum { ID_PARTS_MAX = 16 };

/// Reads a list of ids. Returns how many it has, or -1 when it is no list of ids.
int judge_read_id(struct bytes text, struct id_part parts[ID_PARTS_MAX]);

/// For `wire_init`.
void judge_event(struct wire *wire, const struct wire_event *event);

/// Fails unless everything that is due has come.
void judge_complete(struct client *client);

/// Judges the end of the exchange, which the server has ended.
void judge_reason(const struct client *client);

/// Fails when a client that lags was neither disconnected nor told by a notice, whichever the
/// policy of its channel says.
void judge_lag(const struct client *client);
