// SPDX-License-Identifier: MIT
//
// One request to another server, and its answer. Owned by whoever made it; `transfer_free` ends it
// in any state, and the connection that it has is closed before that returns. Its states, and what
// moves it on:
//
//     NEW --transfer_start--> QUEUED --a connection is free--> NAMING --addresses--> CONNECTING
//                                                                                        |
//     ENDED <--the body's end-- READING <--the head's end-- ASKING <--the connection stands--+
//
//     QUEUED .. READING --a failure, or the time is up--> ENDED
//
// One timer bounds each state: `connect_ms` counts from the start until the connection stands,
// `first_byte_ms` from there to the end of the head, `idle_ms` between two pieces of the body. Used
// on the thread of the multi's loop.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "net/timer.h"
#include "upstream/address.h"
#include "upstream/multi.h"
#include "upstream/resolve.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct curl_slist;
struct mailbox;
struct transfer;

enum transfer_state {
    TRANSFER_NEW,
    TRANSFER_QUEUED,
    TRANSFER_NAMING,
    TRANSFER_CONNECTING,
    TRANSFER_ASKING,
    TRANSFER_READING,
    TRANSFER_ENDED,
};

enum {
    TRANSFER_HIGH_BYTES = 64 * 1024, // of a stream: as much waits for its reader, and one read
    TRANSFER_HEAD_BYTES_MAX = 64 * 1024,
    TRANSFER_WHY_BYTES = 512,   // of the text that says why a request has failed
    TRANSFER_ERROR_BYTES = 256, // of what curl says; CURL_ERROR_SIZE
};

/// What is asked. All of it is copied.
struct transfer_request {
    const char *method;
    const char *url;
    struct bytes fields; // "name: value", each with an LF behind it
    struct bytes body;
    bool has_body;
};

struct transfer_bounds {
    uint64_t connect_ms;
    uint64_t first_byte_ms;
    uint64_t idle_ms;
    uint64_t body_bytes; // an answer that is longer, or has to wait for more, fails: -EMSGSIZE
};

struct transfer {
    struct multi_handle handle;
    struct multi *multi;
    struct mailbox *mailbox; // of the loop: where names arrive
    struct transfer_bounds bounds;
    struct list node; // in the multi's list of those that wait
    struct resolve resolve;
    struct upstream_address address;
    struct upstream_address proxy; // that it goes through, if it has a host
    struct timer timer;
    struct buf head; // the status line and the fields, as they came
    struct buf body;
    void (*on_end)(struct transfer *transfer);  // it is ENDED; may free it
    void (*on_news)(struct transfer *transfer); // of a stream: its head, or more of its body
    void *user;                                 // the owner's
    int failure;                                // once it is ENDED: 0 or a negative number
    int status;                                 // once it is READING
    uint8_t state;                              // enum transfer_state
    bool is_stream;                             // its reader takes the body piece by piece
    bool _is_paused;                            // until its reader has taken some
    bool _is_open;                              // counted in `open_count` of the multi
    bool _is_idempotent;
    uint8_t _try_count; // how often the request was sent
    struct curl_slist *_fields;
    struct curl_slist *_addresses;
    size_t _high_bytes;
    char why[TRANSFER_WHY_BYTES];
    char _error[TRANSFER_ERROR_BYTES];
};

/// Makes a request of `multi`, which it holds.
struct transfer *transfer_new(struct multi *multi, struct mailbox *mailbox,
                              const struct transfer_bounds *bounds);

/// Begins. Returns 0, or a negative number with the text in `why`; then the transfer is ENDED, and
/// `on_end` is not called.
MUST_USE int transfer_start(struct transfer *transfer, const struct transfer_request *request);

/// The reader of a stream has taken bytes off the front of `body`, and is to get more of it.
void transfer_resume(struct transfer *transfer);

/// The reader of a stream can do nothing with what is there, and needs more at once. Returns 0, or
/// -EMSGSIZE when `body_bytes` are there.
MUST_USE int transfer_want_more(struct transfer *transfer);

/// Ends the request, wherever it is, and frees it. `on_end` is not called. Not from a callback of
/// curl.
void transfer_free(struct transfer *transfer);

/// CHECKs what holds between any two calls. For debug builds.
void transfer_check(const struct transfer *transfer);
