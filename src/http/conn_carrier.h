// SPDX-License-Identifier: MIT
//
// How an HTTP/1 connection carries an exchange: the head, the content in chunks, with a length or
// up to the end of the connection, and the questions whether the peer is there. Everything that it
// writes gathers in the connection's output, which conn.c sends at the end of the turn.
#pragma once

#include "http/codec.h"

struct conn;

extern const struct carrier_ops conn_carrier_ops;
extern const struct body_ops conn_body_ops;

/// Asks the peer whether it is there, after `exchange_ask_peer`, when the next question is due.
/// Returns false where the peer cannot be asked (HTTP/1.0) and is taken for gone.
bool conn_carrier_ask(struct conn *conn);

/// Updates the service's count when the connection becomes a health check or ceases to be one.
void conn_set_health_check(struct conn *conn, bool is_health_check);
