// SPDX-License-Identifier: MIT
//
// What happens next in a world, by chance.
#pragma once

struct world;

/// One step: a few events, a turn, a client that comes, goes, stalls or reads on.
void steps_take(struct world *world);
