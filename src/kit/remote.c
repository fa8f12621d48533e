// SPDX-License-Identifier: MIT
#include "kit/remote.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/mem.h"
#include "http/service.h"
#include "server/worker.h"

enum {
    REMOTE_BYTES_MAX = 256 * 1024 * 1024, // that wait for the server to read
    PIECE_BYTES_MAX = LOOP_READ_BYTES,    // as much as a socket would give at once
};

static bool is_listening(const struct remote *remote);

struct remote *remote_new(struct worker *worker, const struct socket_address *from, size_t window,
                          bool is_proxied)
{
    struct remote *remote = mem_new(struct remote);
    DCHECK(environment_is_still(environment_here));
    *remote = (struct remote){.worker = worker, .number = worker->number, .hold_count = 2};
    list_init(&remote->node);
    buf_init(&remote->unsent, REMOTE_BYTES_MAX);
    loopback_init(&remote->transport, &worker->loop, window);
    service_accept(&worker->service, &remote->transport.base, from, is_proxied);
    return remote;
}

void remote_release(struct remote *remote)
{
    DCHECK(remote->hold_count > 0);
    if (--remote->hold_count == 0) {
        CHECK(remote->transport.is_gone);
        loopback_deinit(&remote->transport);
        buf_reset(&remote->unsent);
        mem_free(remote);
    }
}

bool remote_send(struct remote *remote, struct bytes bytes)
{
    return remote->transport.is_closing || buf_append(&remote->unsent, bytes);
}

void remote_finish(struct remote *remote)
{
    remote->wants_end = true;
}

void remote_leave(struct remote *remote)
{
    DCHECK(remote->app != NULL);
    buf_reset(&remote->unsent);
    if (!remote->transport.is_lost && !remote->transport.is_closing) {
        remote->transport.is_lost = true;
        remote->was_reset = true;
        loopback_fail(&remote->transport);
    }
}

void remote_set_window(struct remote *remote, size_t size)
{
    DCHECK(remote->app != NULL);
    if (!remote->transport.is_lost) {
        loopback_make_room(&remote->transport, size);
    }
}

/// A peer whose server has closed its sending side closes too, once it has said everything, as
/// clients do when they have read the end.
bool remote_turn(struct remote *remote)
{
    bool has_moved = false;
    DCHECK(remote->hold_count > 0);
    while (is_listening(remote) && !buf_is_empty(&remote->unsent)) {
        struct bytes piece = buf_bytes(&remote->unsent);
        piece.len = piece.len < PIECE_BYTES_MAX ? piece.len : PIECE_BYTES_MAX;
        loopback_send(&remote->transport, piece);
        buf_consume(&remote->unsent, piece.len);
        has_moved = true;
    }
    bool has_said_all = buf_is_empty(&remote->unsent);
    if (is_listening(remote) && has_said_all && (remote->wants_end || remote->transport.is_shut)) {
        loopback_end(&remote->transport);
        has_moved = true;
    }
    return has_moved;
}

bool remote_is_gone(const struct remote *remote)
{
    return remote->transport.is_gone;
}

const char *remote_state(const struct remote *remote)
{
    const struct loopback *transport = &remote->transport;
    if (remote->was_reset || transport->is_reset) {
        return "reset";
    }
    return transport->is_closing || transport->is_shut ? "closed" : "open";
}

/// Whether the server reads, and can be told something.
static bool is_listening(const struct remote *remote)
{
    const struct loopback *transport = &remote->transport;
    return transport->is_reading && !transport->is_closing && !transport->has_ended &&
           !transport->is_lost;
}
