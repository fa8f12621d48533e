// SPDX-License-Identifier: MIT
#include "net/listener.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { ACCEPTED_MAX = 256 }; // in one go, so that those who are connected get their turn

static void on_ready(uv_poll_t *poll, int failure, int events);
static int waiting_count(const struct listener *listener);
static void turn_away(struct listener *listener);

void listener_open(struct listener *listener, struct loop *loop, const struct listening *listening)
{
    listener->_listening = *listening;
    listener->_spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(uv_poll_init(&loop->uv, &listener->_poll, listening->fd) == 0); // it is a socket
    CHECK(uv_poll_start(&listener->_poll, UV_READABLE, on_ready) == 0);
    listener->is_open = true;
}

void listener_close(struct listener *listener)
{
    if (!listener->is_open) {
        return;
    }
    listener->is_open = false;
    uv_close((uv_handle_t *)&listener->_poll, NULL);
    listening_close(&listener->_listening);
    close(listener->_spare_fd);
}

static void on_ready(uv_poll_t *poll, int failure, int events)
{
    (void)failure; // a listening socket has none of its own
    (void)events;
    struct listener *listener = CONTAINER_OF(poll, struct listener, _poll);
    for (int count = waiting_count(listener); count > 0 && listener->is_open; count--) {
        int fd = accept4(listener->_listening.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) {
                turn_away(listener);
            }
            return;
        }
        listener->on_accept(listener->user, fd);
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

/// Without a descriptor the peer would wait in the backlog, and the loop would spin.
static void turn_away(struct listener *listener)
{
    close(listener->_spare_fd);
    int fd = accept4(listener->_listening.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    listener->_spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}
