// SPDX-License-Identifier: MIT
//
// The poller says that somebody waits; `on_ready` accepts as many as the kernel says there are, and
// hands each descriptor to `on_accept`. When the process has no descriptor left, a spare one is
// closed for a moment, so that the next connection can be accepted and closed at once. Otherwise
// that connection would stay in the backlog and wake the loop in every turn.
#include "net/acceptor.h"

#include "base/check.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    ACCEPTED_MAX = 256, // in one turn, so that connected peers are served in it, too
    REST_MS = 100,      // when not even the spare descriptor can be had
};

static void on_ready(struct polled *polled, unsigned events);
static void on_closed(struct polled *polled);
static int waiting_count(const struct acceptor *acceptor);
static bool turn_away(struct acceptor *acceptor, int failure);
static uint64_t descriptors_max(void);
static void open_spare(struct acceptor *acceptor);
static void close_spare(struct acceptor *acceptor);
static void rest(struct acceptor *acceptor);
static void on_rested(struct timer *timer);

int acceptor_open(struct acceptor *acceptor, struct loop *loop,
                  const struct listen_socket *listen_socket)
{
    acceptor->_listen_socket = *listen_socket;
    acceptor->_loop = loop;
    acceptor->_polled =
        (struct polled){.on_ready = on_ready, .on_closed = on_closed, .fd = listen_socket->fd};
    acceptor->is_open = true;
    timer_init(&acceptor->_rest, &loop->timers, on_rested);
    DCHECK(acceptor->on_accept != NULL);
    open_spare(acceptor);
    polled_open(&loop->poller, &acceptor->_polled);
    DEBUG_CALL(acceptor_check(acceptor));
    return polled_want(&loop->poller, &acceptor->_polled, POLL_READ);
}

void acceptor_close(struct acceptor *acceptor)
{
    if (!acceptor->is_open) {
        return;
    }
    acceptor->is_open = false;
    timer_deinit(&acceptor->_rest);
    listen_socket_remove_file(&acceptor->_listen_socket);
    polled_close(&acceptor->_loop->poller, &acceptor->_polled);
    close_spare(acceptor);
    DEBUG_CALL(acceptor_check(acceptor));
}

void acceptor_check(const struct acceptor *acceptor)
{
    bool is_resting = acceptor->is_open && timer_is_armed(&acceptor->_rest);
    OWNED(&acceptor->_loop->owner);
    CHECK(acceptor->is_open != polled_is_closing(&acceptor->_polled));
    CHECK(!is_resting || acceptor->_polled.wanted == 0);
    CHECK(acceptor->is_open || acceptor->_spare_fd < 0);
    CHECK(acceptor->on_accept != NULL);
}

static void on_ready(struct polled *polled, unsigned events)
{
    (void)events; // a listening socket has no error of its own
    struct acceptor *acceptor = CONTAINER_OF(polled, struct acceptor, _polled);
    for (int count = waiting_count(acceptor); count > 0 && acceptor->is_open; count--) {
        struct socket_address peer;
        peer.len = sizeof(peer.storage);
        int fd = accept4(acceptor->_polled.fd, (struct sockaddr *)&peer.storage, &peer.len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            acceptor->on_accept(acceptor->user, fd, &peer);
        } else if (!turn_away(acceptor, errno)) {
            return;
        }
    }
}

static void on_closed(struct polled *polled)
{
    (void)polled; // the owner frees the acceptor, when its worker has ended
}

/// How many connections to accept. An `accept4` that finds nobody would tell too, but it is
/// expensive: the kernel makes the socket and its file before it looks. TCP_INFO of a listening
/// socket has the number that wait. At least one does, because the poller has said so.
static int waiting_count(const struct acceptor *acceptor)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    if (getsockopt(acceptor->_polled.fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        info.tcpi_unacked > ACCEPTED_MAX) {
        return ACCEPTED_MAX; // getsockopt fails for a Unix socket
    }
    return info.tcpi_unacked == 0 ? 1 : (int)info.tcpi_unacked;
}

/// Accepts a connection with the spare descriptor, and closes it. Returns whether to go on
/// accepting. Another thread may take the spare descriptor in the moment that it is free: then the
/// acceptor rests for a while.
static bool turn_away(struct acceptor *acceptor, int failure)
{
    bool has_none = failure == EMFILE || failure == ENFILE;
    if (!has_none && failure != ENOBUFS && failure != ENOMEM) {
        return failure == ECONNABORTED; // any other failure: no connection waits any more
    }
    limit_met("descriptors", descriptors_max());
    close_spare(acceptor);
    int fd = accept4(acceptor->_polled.fd, NULL, NULL, SOCK_CLOEXEC);
    bool is_done = fd >= 0;
    if (is_done) {
        close(fd);
    }
    open_spare(acceptor);
    if (!is_done || acceptor->_spare_fd < 0) {
        rest(acceptor);
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

static void open_spare(struct acceptor *acceptor)
{
    acceptor->_spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void close_spare(struct acceptor *acceptor)
{
    if (acceptor->_spare_fd >= 0) {
        close(acceptor->_spare_fd);
        acceptor->_spare_fd = -1;
    }
}

/// Wanting less cannot fail, and neither can wanting the same again: the socket stays in the set.
static void rest(struct acceptor *acceptor)
{
    CHECK(polled_want(&acceptor->_loop->poller, &acceptor->_polled, 0) == 0);
    timer_arm(&acceptor->_rest, REST_MS);
}

/// Tries to get a spare descriptor, and accepts again. Without a spare one, the acceptor rests
/// again when the next connection finds no descriptor.
static void on_rested(struct timer *timer)
{
    struct acceptor *acceptor = CONTAINER_OF(timer, struct acceptor, _rest);
    if (acceptor->_spare_fd < 0) {
        open_spare(acceptor);
    }
    CHECK(polled_want(&acceptor->_loop->poller, &acceptor->_polled, POLL_READ) == 0);
}
