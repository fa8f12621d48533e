// SPDX-License-Identifier: MIT
//
// Many readers of one event stream, who read it to its end and tell how each ended. `lunesse bench`
// takes the end of a stream for a failure; here it is what is looked at.
//
//   soak_readers PORT PATH COUNT      on 127.0.0.1
//
// Prints "open" when all of them have the head of their stream, and when all have ended a line for
// each: the moment of its end, in milliseconds of CLOCK_MONOTONIC; the last `retry:` that it was
// told, or -1; and 1 when the body had its last chunk before the connection closed, 0 otherwise.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HELD_BYTES = 1023, TURN_EVENTS = 256 };

struct reader {
    int fd;
    size_t len;
    double ended_ms;
    char held[HELD_BYTES + 1]; // all that came
};

static const char last_chunk[] = "0\r\n\r\n";

static struct reader *readers;
static size_t reader_count;
static size_t open_count;
static size_t ended_count;
static int poll_fd;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "soak_readers: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void allow_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); // opening them will tell
    }
}

static void join(struct reader *reader, const struct sockaddr_in *where, const char *request)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = reader};
    size_t len = strlen(request);
    reader->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (reader->fd < 0 ||
        connect(reader->fd, (const struct sockaddr *)where, sizeof(*where)) != 0 ||
        write(reader->fd, request, len) != (ssize_t)len ||
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, reader->fd, &wanted) != 0) {
        fail("connecting");
    }
}

static int has_last_chunk(const struct reader *reader)
{
    size_t len = sizeof(last_chunk) - 1;
    return reader->len >= len && memcmp(reader->held + reader->len - len, last_chunk, len) == 0;
}

static void end(struct reader *reader)
{
    if (reader->ended_ms == 0) {
        reader->ended_ms = now_ms();
    }
    close(reader->fd);
    ended_count++;
}

/// A stream here says little: its head, a comment, `retry:`. The room is for a few heartbeats too.
static void take(struct reader *reader)
{
    int was_open = strstr(reader->held, "\r\n\r\n") != NULL;
    ssize_t count =
        recv(reader->fd, reader->held + reader->len, HELD_BYTES - reader->len, MSG_DONTWAIT);
    if (count <= 0) {
        end(reader);
        return;
    }
    reader->len += (size_t)count;
    reader->held[reader->len] = '\0';
    if (strncmp(reader->held, "HTTP/1.1 200 ", reader->len < 13 ? reader->len : 13) != 0) {
        errno = EPROTO;
        fail(reader->held);
    }
    if (reader->ended_ms == 0 && has_last_chunk(reader)) {
        reader->ended_ms = now_ms();
    }
    open_count += !was_open && strstr(reader->held, "\r\n\r\n") != NULL;
}

static void turn(void)
{
    struct epoll_event events[TURN_EVENTS];
    size_t before = open_count;
    int count = epoll_wait(poll_fd, events, TURN_EVENTS, -1);
    for (int i = 0; i < count; i++) {
        take(events[i].data.ptr);
    }
    if (open_count == reader_count && before < reader_count) {
        puts("open");
        fflush(stdout);
    }
}

static long retry_of(const struct reader *reader)
{
    long retry = -1;
    for (const char *at = reader->held; (at = strstr(at, "retry: ")) != NULL; at++) {
        retry = strtol(at + strlen("retry: "), NULL, 10);
    }
    return retry;
}

int main(int argc, char **argv)
{
    char request[512];
    if (argc != 4) {
        fprintf(stderr, "usage: soak_readers PORT PATH COUNT\n");
        return 2;
    }
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", argv[2]);
    reader_count = strtoul(argv[3], NULL, 10);
    readers = calloc(reader_count, sizeof(struct reader));
    poll_fd = epoll_create1(0);
    allow_descriptors();
    for (size_t i = 0; i < reader_count; i++) {
        join(&readers[i], &where, request);
    }
    while (ended_count < reader_count) {
        turn();
    }
    for (size_t i = 0; i < reader_count; i++) {
        printf("%.3f %ld %d\n", readers[i].ended_ms, retry_of(&readers[i]),
               has_last_chunk(&readers[i]));
    }
    free(readers);
    return 0;
}
