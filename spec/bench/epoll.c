// SPDX-License-Identifier: MIT
//
// The naive limit: a bare epoll loop that answers each request with the same bytes and looks at
// nothing but where a request ends. What it spends is the price of the sockets alone.
//
//   epoll        prints the port it took and serves until it is ended
#include "peer.h"

#include <sys/epoll.h>

enum { CONNS_MAX = 4096, READ_BYTES = 16 * 1024 };

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: text/plain; charset=utf-8\r\n"
                             "Date: Sat, 03 Feb 2001 04:05:06 GMT\r\n"
                             "Content-Length: 6\r\n"
                             "\r\n"
                             "hello\n";

static unsigned char seen[CONNS_MAX]; // how much of CRLFCRLF each connection's input ends with

static int listen_anywhere(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&where, len) != 0 || listen(fd, 511) != 0 ||
        getsockname(fd, (struct sockaddr *)&where, &len) != 0) {
        fail("listen");
    }
    printf("listening on http://127.0.0.1:%u\n", ntohs(where.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int poll, int fd)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || fd >= CONNS_MAX || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &wanted) != 0) {
        fail("epoll_ctl");
    }
}

static void take(int poll, int listening)
{
    int one = 1;
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) {
        return; // it has gone again
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    watch(poll, fd);
    seen[fd] = 0;
}

static size_t count_requests(unsigned char *state, const char *at, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        char wanted = *state % 2 == 0 ? '\r' : '\n';
        if (at[i] == wanted) {
            (*state)++;
        } else {
            *state = at[i] == '\r' ? 1 : 0;
        }
        if (*state == 4) {
            *state = 0;
            count++;
        }
    }
    return count;
}

static void serve(int fd)
{
    static char input[READ_BYTES];
    ssize_t len = recv(fd, input, sizeof(input), 0);
    if (len <= 0) {
        close(fd);
        return;
    }
    for (size_t left = count_requests(&seen[fd], input, (size_t)len); left > 0; left--) {
        if (send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) != sizeof(answer) - 1) {
            close(fd);
            return;
        }
    }
}

int main(void)
{
    struct epoll_event events[256];
    int poll = epoll_create1(0);
    int listening = listen_anywhere();
    watch(poll, listening);
    for (;;) {
        int count = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listening) {
                take(poll, listening);
            } else {
                serve(events[i].data.fd);
            }
        }
    }
}
