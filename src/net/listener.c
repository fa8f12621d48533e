// SPDX-License-Identifier: MIT
//
// The poller says that somebody waits; `on_ready` accepts as many as the kernel says there are, and
// hands each descriptor to `on_accept`. When the process has no descriptor left, a spare one is
// closed for a moment, so that the next connection can be accepted and closed at once. Otherwise
// that connection would stay in the backlog and wake the loop in every turn.
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
    ACCEPTED_MAX = 256, // in one turn, so that those who are connected get theirs
    REST_MS = 100,      // when not even the spare descriptor can be had
};

static void on_ready(struct polled *polled, unsigned events);
static void on_closed(struct polled *polled);
static int waiting_count(const struct listener *listener);
static bool turn_away(struct listener *listener, int failure);
static uint64_t descriptors_max(void);
static void open_spare(struct listener *listener);
static void close_spare(struct listener *listener);
static void rest(struct listener *listener);
static void on_rested(struct timer *timer);

int listener_open(struct listener *listener, struct loop *loop, const struct listening *listening)
{
    listener->_listening = *listening;
    listener->_loop = loop;
    listener->_polled =
        (struct polled){.on_ready = on_ready, .on_closed = on_closed, .fd = listening->fd};
    listener->is_open = true;
    timer_init(&listener->_rest, loop, on_rested);
    open_spare(listener);
    polled_open(&loop->poller, &listener->_polled);
    return polled_want(&loop->poller, &listener->_polled, POLL_READ);
}

void listener_close(struct listener *listener)
{
    if (!listener->is_open) {
        return;
    }
    listener->is_open = false;
    timer_deinit(&listener->_rest);
    listening_remove_file(&listener->_listening);
    polled_close(&listener->_loop->poller, &listener->_polled);
    close_spare(listener);
}

static void on_ready(struct polled *polled, unsigned events)
{
    (void)events; // a listening socket has no error of its own
    struct listener *listener = CONTAINER_OF(polled, struct listener, _polled);
    for (int count = waiting_count(listener); count > 0 && listener->is_open; count--) {
        struct socket_address peer;
        peer.len = sizeof(peer.storage);
        int fd = accept4(listener->_polled.fd, (struct sockaddr *)&peer.storage, &peer.len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->on_accept(listener->user, fd, &peer);
        } else if (!turn_away(listener, errno)) {
            return;
        }
    }
}

static void on_closed(struct polled *polled)
{
    (void)polled; // the owner frees the listener, when its worker has ended
}

/// How many connections to accept. An `accept4` that finds nobody would tell too, but it is
/// expensive: the kernel makes the socket and its file before it looks. TCP_INFO of a listening
/// socket has the number that wait. At least one does, because the poller has said so.
static int waiting_count(const struct listener *listener)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    if (getsockopt(listener->_polled.fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        info.tcpi_unacked > ACCEPTED_MAX) {
        return ACCEPTED_MAX; // getsockopt fails for a Unix socket
    }
    return info.tcpi_unacked == 0 ? 1 : (int)info.tcpi_unacked;
}

/// Accepts a connection with the spare descriptor, and closes it. Returns whether to go on
/// accepting. Another thread may take the spare descriptor in the moment that it is free: then the
/// listener rests for a while.
static bool turn_away(struct listener *listener, int failure)
{
    bool has_none = failure == EMFILE || failure == ENFILE;
    if (!has_none && failure != ENOBUFS && failure != ENOMEM) {
        return failure == ECONNABORTED; // others: nobody waits any more
    }
    limit_met("descriptors", descriptors_max());
    close_spare(listener);
    int fd = accept4(listener->_polled.fd, NULL, NULL, SOCK_CLOEXEC);
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
    (void)getrlimit(RLIMIT_NOFILE, &files); // if it fails, 0 is reported
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

/// Wanting less cannot fail, and neither can wanting the same again: the socket stays in the set.
static void rest(struct listener *listener)
{
    CHECK(polled_want(&listener->_loop->poller, &listener->_polled, 0) == 0);
    timer_arm(&listener->_rest, REST_MS);
}

/// If no spare descriptor can be had yet, the listener rests again as soon as somebody waits.
static void on_rested(struct timer *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, _rest);
    if (listener->_spare_fd < 0) {
        open_spare(listener);
    }
    CHECK(polled_want(&listener->_loop->poller, &listener->_polled, POLL_READ) == 0);
}
