// SPDX-License-Identifier: MIT
//
// Who stands in for other servers, by host. Each has a Unix socket without a file, to which the
// app's requests to that host connect: so libcurl works as it always does, and no network is
// needed. A member of the app; used on its thread.
#pragma once

#include "base/check.h"
#include "base/list.h"

struct stand_ins {
    struct list _hosts;
};

void stand_ins_init(struct stand_ins *stand_ins);

/// Closes the sockets. Connections that were taken go on.
void stand_ins_deinit(struct stand_ins *stand_ins);

/// From now on somebody stands in for `host`, on all ports. With a `failure`, a negative number,
/// connections fail by it; with 0 they are there to be taken. Returns 0, or a negative errno when
/// there is no socket for that.
MUST_USE int stand_ins_set(struct stand_ins *stand_ins, const char *host, int failure);

/// Finds who stands in for `host`. Returns 0 and the abstract name of the socket, which lives as
/// long as the stand-ins, or a negative number: UPSTREAM_IN_KIT when nobody does.
MUST_USE int stand_ins_find(void *stand_ins, const char *host, const char **name);

/// Takes a connection: its descriptor, which is the caller's, and its host, which lives as long as
/// the stand-ins. -EAGAIN when none has come.
int stand_ins_take(struct stand_ins *stand_ins, const char **host);
