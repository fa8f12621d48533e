// SPDX-License-Identifier: MIT
#include "net/listener.h"

#include "base/check.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    ACCEPTED_MAX = 256, // in one go, so that those who are connected get their turn
    REST_MS = 100,      // when nobody can even be turned away
};

static void resume(struct listener *listener);
static void on_ready(uv_poll_t *poll, int failure, int events);
static int waiting_count(const struct listener *listener);
static bool turn_away(struct listener *listener, int failure);
static uint64_t descriptors_max(void);
static void open_spare(struct listener *listener);
static void close_spare(struct listener *listener);
static void rest(struct listener *listener);
static void on_rested(struct timer *timer);

int listener_open(struct listener *listener, struct loop *loop, const struct listening *listening)
{
    int failure = uv_poll_init(&loop->uv, &listener->_poll, listening->fd);
    if (failure != 0) {
        return failure;
    }
    listener->_listening = *listening;
    listener->is_open = true;
    timer_init(&listener->_rest, loop, on_rested);
    open_spare(listener);
    resume(listener);
    return 0;
}

void listener_close(struct listener *listener)
{
    if (!listener->is_open) {
        return;
    }
    listener->is_open = false;
    timer_deinit(&listener->_rest);
    uv_close((uv_handle_t *)&listener->_poll, NULL);
    listening_close(&listener->_listening);
    close_spare(listener);
}

static void resume(struct listener *listener)
{
    CHECK(uv_poll_start(&listener->_poll, UV_READABLE, on_ready) == 0); // the handle is open
}

static void on_ready(uv_poll_t *poll, int failure, int events)
{
    (void)failure; // a listening socket has none of its own
    (void)events;
    struct listener *listener = CONTAINER_OF(poll, struct listener, _poll);
    for (int count = waiting_count(listener); count > 0 && listener->is_open; count--) {
        struct socket_address peer;
        peer.len = sizeof(peer.storage);
        int fd = accept4(listener->_listening.fd, (struct sockaddr *)&peer.storage, &peer.len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->on_accept(listener->user, fd, &peer);
        } else if (!turn_away(listener, errno)) {
            return;
        }
    }
}

/// How many to accept. To find out by an `accept4` that finds nobody is dear: the kernel makes the
/// socket and its file first. Of a listening socket TCP_INFO tells how many wait; at least
/// one does, whatever it says.
static int waiting_count(const struct listener *listener)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    if (getsockopt(listener->_listening.fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        info.tcpi_unacked > ACCEPTED_MAX) {
        return ACCEPTED_MAX; // the first: a Unix socket
    }
    return info.tcpi_unacked == 0 ? 1 : (int)info.tcpi_unacked;
}

/// Without a descriptor the peer would wait in the backlog, and the loop would spin. Whether to go
/// on. What this gives up for a moment another thread may take: then nobody is accepted for a
/// while.
static bool turn_away(struct listener *listener, int failure)
{
    bool has_none = failure == EMFILE || failure == ENFILE;
    if (!has_none && failure != ENOBUFS && failure != ENOMEM) {
        return failure == ECONNABORTED; // or nobody waits
    }
    limit_met("descriptors", descriptors_max());
    close_spare(listener);
    int fd = accept4(listener->_listening.fd, NULL, NULL, SOCK_CLOEXEC);
    bool is_done = fd >= 0;
    if (is_done) {
        close(fd);
    }
    open_spare(listener);
    if (!is_done || listener->_spare_fd < 0) {
        rest(listener);
        return false;
    }
    return true;
}

static uint64_t descriptors_max(void)
{
    struct rlimit files = {0};
    (void)getrlimit(RLIMIT_NOFILE, &files); // 0 when it cannot be asked
    return files.rlim_cur;
}

static void open_spare(struct listener *listener)
{
    listener->_spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void close_spare(struct listener *listener)
{
    if (listener->_spare_fd >= 0) {
        close(listener->_spare_fd);
        listener->_spare_fd = -1;
    }
}

static void rest(struct listener *listener)
{
    uv_poll_stop(&listener->_poll);
    timer_arm(&listener->_rest, REST_MS);
}

/// Where there is no spare one still, it rests again as soon as somebody waits.
static void on_rested(struct timer *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, _rest);
    if (listener->_spare_fd < 0) {
        open_spare(listener);
    }
    resume(listener);
}
