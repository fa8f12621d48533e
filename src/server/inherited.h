// SPDX-License-Identifier: MIT
//
// Listening sockets that a service manager has opened and hands over (sd_listen_fds(3)): as many
// descriptors as LISTEN_FDS says, from descriptor 3 on, if LISTEN_PID is this process. Such sockets
// outlive the program: a client that connects while the program is restarted waits and is not
// refused.
#pragma once

#include "base/check.h"

enum { INHERITED_FIRST = 3 };

/// Takes the sockets: sees that they are closed on exec, and removes the variables, so that no
/// program that is started from here believes that they are meant for it. Returns how many there
/// are, or a negative errno when it has printed why not: -EINVAL when LISTEN_FDS is no number of
/// sockets that there may be, -EBADF when a descriptor is not open. Before anything else opens
/// descriptors.
MUST_USE int inherited_take(void);
