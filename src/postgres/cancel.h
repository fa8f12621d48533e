// SPDX-License-Identifier: MIT
//
// Asks a database server to end the query of a connection, when nobody waits for its answer any
// more. PostgreSQL takes that on a connection of its own, and PQcancel opens it and waits until the
// server has closed it. So it is called on a thread, and neither the loop nor libuv's pool is held
// up by a server that does not answer. The threads share nothing with the connection.
#pragma once

#include <libpq-fe.h>

/// Asks for the end of what `pq` runs. `pq` may be finished as soon as this returns. What comes of
/// it is told to nobody. When too many servers do not answer, the query is left to run.
void cancel_send(PGconn *pq);
