// SPDX-License-Identifier: MIT
//
// curl's multi interface on a loop, and with it the connections that are kept open between
// requests. The loop's poller watches its sockets, and its timer is one of the loop's. curl's
// callbacks only note what has come; when curl has returned, the owners of the handles are told, so
// none of them is ever called from inside curl. No function of this file may be called by what curl
// calls.
//
// A multi is counted: whoever uses one holds it, and the last release closes its connections. Used
// on the thread of its loop.
#pragma once

#include "base/check.h"
#include "base/list.h"
#include "net/loop.h"
#include "net/timer.h"

#include <stdbool.h>
#include <stddef.h>

struct watch;

/// One of curl's easy handles: a member of the struct of the request that it makes.
struct multi_handle {
    void *easy; // CURL *
    struct list _node;
    struct multi *_multi;
    bool is_added;
    bool is_in_kit;  // it goes to a socket of this process; see `multi_handle_lead`
    bool is_refused; // an address was not connected to, since it is not public
    /// curl has noted something: `multi_handle_note` was called.
    void (*on_news)(struct multi_handle *handle);
    /// The request has ended; `result` is a CURLcode. Follows all `on_news`.
    void (*on_done)(struct multi_handle *handle, int result);
};

/// What a multi has been told about its connections: paths, and a URL.
enum multi_setting {
    MULTI_CA,          // of the certificates that it trusts; otherwise those of the system
    MULTI_CERTIFICATE, // by which it shows who it is
    MULTI_KEY,         // of that certificate; otherwise the same file
    MULTI_UNIX,        // of the Unix socket that all requests go to
    MULTI_PROXY,       // that all requests go through, with its port
    MULTI_SETTING_COUNT,
};

struct multi {
    struct loop *loop;
    struct list waiting; // requests that wait for a connection; see transfer.c
    size_t open_count;   // requests that may have one
    size_t open_max;
    bool is_public; // it connects to public addresses alone; set before the first request
    char *settings[MULTI_SETTING_COUNT]; // its own to free; NULL: none
    void *_curl;                         // CURLM *; NULL until the first request
    struct timer _timer;
    struct loop_job _job;
    struct list _news;
    struct watch **_watches; // of sockets, by descriptor
    size_t _watch_room;
    size_t _hold_count;
    bool _is_driving; // curl runs
};

/// A multi that makes at most `open_max` requests at a time, held once by the caller. curl is not
/// asked for anything before the first request.
struct multi *multi_new(struct loop *loop, size_t open_max);

struct multi *multi_hold(struct multi *multi);

/// The last release closes the connections. No request may be left.
void multi_release(struct multi *multi);

/// Gives the handle its easy handle, with what all requests have in common, and its owner the
/// callbacks. Returns 0 or -ENOMEM. `multi_handle_deinit` ends it.
MUST_USE int multi_handle_init(struct multi_handle *handle, struct multi *multi);

/// Does what `multi_remove` does, and frees what is curl's of the handle. Idempotent.
void multi_handle_deinit(struct multi_handle *handle, struct multi *multi);

/// Has the request go to the Unix socket with this abstract name, whatever its URL says. Returns 0
/// or -ENOMEM. The connection is not kept.
MUST_USE int multi_handle_lead(struct multi_handle *handle, const char *name);

/// Begins the request of the handle. Returns 0 or -ENOMEM.
MUST_USE int multi_add(struct multi *multi, struct multi_handle *handle);

/// Takes the handle out of the multi. A connection that is in the middle of something is closed
/// before this returns. It may be added again. Idempotent.
void multi_remove(struct multi *multi, struct multi_handle *handle);

/// Has `on_news` called when curl has returned. For callbacks of curl.
void multi_handle_note(struct multi_handle *handle, struct multi *multi);
