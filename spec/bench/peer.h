// SPDX-License-Identifier: MIT
//
// What the load programs share: a connection to a port of this machine, a request on it, the clock.
// They are programs of a bench, so whatever goes wrong ends them with a message.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static inline double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/// A blocking socket that gives up on a silence of ten seconds.
static inline int connect_to(const char *port)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 10};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&where, sizeof(where)) != 0) {
        fail("connect");
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static inline void send_get(int fd, const char *target, const char *accept)
{
    char text[256];
    int len = snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n", target, accept);
    if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len) {
        fail("send");
    }
}

/// Reads until `text`, which stays ended by NUL, contains `mark`; returns how much was read.
static inline size_t read_until(int fd, char *text, size_t size, const char *mark)
{
    size_t len = 0;
    text[0] = '\0';
    while (strstr(text, mark) == NULL) {
        ssize_t count = recv(fd, text + len, size - 1 - len, 0);
        if (count <= 0) {
            fail("the server said no more");
        }
        len += (size_t)count;
        text[len] = '\0';
    }
    return len;
}
