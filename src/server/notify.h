// SPDX-License-Identifier: MIT
//
// What a service manager is told (sd_notify(3)): datagrams to the Unix socket that NOTIFY_SOCKET
// names, by its path or, behind an @, by its abstract name. Without that variable nothing is sent.
// A manager that cannot be told changes nothing for the server; the log warns of it.
#pragma once

#include <stdint.h>

/// The server serves; `status` is one line for people.
void notify_ready(const char *status);

/// New scripts are being loaded, and have been loaded. The server serves meanwhile.
void notify_reloading(void);
void notify_reloaded(void);

/// The server is ending, which may take `patience_ms`; `status` is one line for people.
void notify_stopping(const char *status, uint64_t patience_ms);
