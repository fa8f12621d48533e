// SPDX-License-Identifier: MIT
//
// The inside of a connection, for the two files that share it: conn.c (its life and its output) and
// input.c (its input). Nobody else looks in here.
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "http/service.h"
#include "net/loop.h"
#include "net/socket_address.h"
#include "net/timer.h"
#include "net/transport.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;
struct http1;

/// The states of the drawing in conn.h.
enum conn_state { CONN_HEAD, CONN_BODY, CONN_ANSWER, CONN_LINGER, CONN_CLOSED };

/// What a connection needs only while something is under way. An open stream that has nothing of
/// its own to say is without it.
struct conn_work {
    struct conn *conn;
    struct http1 *parser; // only while a message is being read
    struct buf input;     // an incomplete head, or what waits behind an answer
    struct buf output;
    struct loop_job job;
    struct timer timer;
    uint64_t head_started_ns; // first byte of the head being read; 0 before it
    uint64_t body_started_ns; // from when on `body_rate` is asked for
    size_t stalled_bytes;     // what was pending when the stall timer was last set
    size_t counted_bytes;     // of the output, in COUNT_PENDING_BYTES
    size_t skip_bytes;        // of input that nobody wants: the rest of a body; SIZE_MAX: all of it
    size_t waiting_count;     // heads in `input` behind an answer, guessed by their empty lines
    uint16_t ask_pause_ms;    // between the questions whether the peer is there; 0: none was asked
    uint8_t line_end_len;     // how much of CRLFCRLF the input ends with
    uint8_t looks_left;    // LINGER: whether the peer has everything and may be reset; 0: no reset
    bool has_partial_head; // `input` begins with an incomplete head
};

struct conn {
    struct list node; // in the service's list
    struct service *service;
    struct transport *transport;
    struct exchange *exchange; // NULL in HEAD until the head is complete
    struct conn_work *_work;   // see `conn_work`
    struct peer peer;
    uint8_t state; // enum conn_state
    bool is_over_limit;
    bool is_first;        // no message has been read yet
    bool is_last;         // closes after the current answer
    bool has_ended;       // the peer has closed its sending side
    bool is_reading;      // the transport reads
    bool is_blocked;      // the kernel takes nothing; `on_room` follows
    bool is_health_check; // what it asked last is whether the server is ready
};

/// One line of the processor's cache: a broadcast touches each reader's.
static_assert(sizeof(struct conn) <= 64, "a connection has grown");

/// The connection's work, which is made when there is none. In HEAD and BODY there always is.
struct conn_work *conn_work(struct conn *conn);

/// Reads on, or holds the peer back.
void conn_set_reading(struct conn *conn, bool is_reading);
