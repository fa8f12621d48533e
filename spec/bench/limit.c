// SPDX-License-Identifier: MIT
//
// The naive limit: a bare epoll loop that sends the same bytes as an event-stream server and does
// nothing else. It looks at how a request begins and where it ends, encodes an event once, and
// writes it to each reader at once. What it spends is the price of the sockets alone.
//
//   limit PORT [--merge]      serves on 127.0.0.1 until it is ended
//
//   GET  /hello     a plain answer
//   GET  /events    an event stream of what is published
//   POST /publish   one event to all of them, 204
//   GET  /first     an event stream with its first event; nothing follows
//   GET  /firehose  an event stream as fast as the socket takes it, one write an event
//
// With --merge the events of one turn of the loop go out in one write a reader. A reader whose
// socket does not take an event whole is closed: there are no queues here.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATE "Date: Sat, 03 Feb 2001 04:05:06 GMT\r\n"
#define STREAM_HEAD                                                                                \
    "HTTP/1.1 200 OK\r\n"                                                                          \
    "Content-Type: text/event-stream\r\n"                                                          \
    "Cache-Control: no-cache, no-transform\r\n"                                                    \
    "Connection: keep-alive\r\n"                                                                   \
    "X-Accel-Buffering: no\r\n" DATE "Transfer-Encoding: chunked\r\n"                              \
    "\r\n"                                                                                         \
    "3\r\n:\n\n\r\n"
#define X16 "xxxxxxxxxxxxxxxx"
#define EVENT "48\r\ndata: " X16 X16 X16 X16 "\n\n\r\n"

enum {
    CONNS_MAX = 32 * 1024,
    INPUT_BYTES = 256 * 1024,
    PENDING_BYTES = 1024 * 1024,
    EVENT_BYTES = sizeof(EVENT) - 1,
    FLOOD_EVENTS = 64, // of a firehose in one turn, so that the others have theirs
};

enum kind { PLAIN, READER, FIREHOSE };

struct conn {
    char *held; // what came of a request that is not all there; NULL otherwise
    uint32_t held_len;
    uint32_t position; // of a reader in `readers`; of a firehose in `flood`
    enum kind kind;
};

static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" DATE
                            "Content-Length: 6\r\n\r\nhello\n";
static const char no_content[] = "HTTP/1.1 204 No Content\r\n" DATE "\r\n";
static const char not_found[] = "HTTP/1.1 404 Not Found\r\n" DATE "Content-Length: 0\r\n\r\n";
static const char stream_head[] = STREAM_HEAD;
static const char stream_first[] = STREAM_HEAD EVENT;

static struct conn conns[CONNS_MAX]; // by descriptor
static int readers[CONNS_MAX];
static uint32_t reader_count;
static char flood[FLOOD_EVENTS * EVENT_BYTES];
static char pending[PENDING_BYTES]; // with --merge: events of this turn
static size_t pending_len;
static unsigned long event_count;
static bool merges;
static int poll_fd;

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(const char *port)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); // whoever is accepted inherits it
    if (fd < 0 || bind(fd, (struct sockaddr *)&where, sizeof(where)) != 0 ||
        listen(fd, 4096) != 0) {
        fail("listen");
    }
    return fd;
}

static void watch(int operation, int fd, uint32_t events)
{
    struct epoll_event wanted = {.events = events, .data.fd = fd};
    if (epoll_ctl(poll_fd, operation, fd, &wanted) != 0) {
        fail("epoll_ctl");
    }
}

static void take(int listening)
{
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    if (fd >= CONNS_MAX) {
        close(fd);
    } else if (fd >= 0) {
        conns[fd] = (struct conn){.kind = PLAIN};
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void leave(int fd)
{
    struct conn *conn = &conns[fd];
    if (conn->kind == READER) { // the last one takes its place
        int last = readers[--reader_count];
        readers[conn->position] = last;
        conns[last].position = conn->position;
    }
    free(conn->held);
    *conn = (struct conn){.kind = PLAIN}; // an event of this turn may still name it
    close(fd);
}

static bool put(int fd, const char *text, size_t len)
{
    return write(fd, text, len) == (ssize_t)len;
}

static void broadcast(const char *event, size_t len)
{
    for (uint32_t i = reader_count; i-- > 0;) { // backwards: who leaves is replaced by one served
        if (!put(readers[i], event, len)) {
            leave(readers[i]);
        }
    }
}

static void flush_pending(void)
{
    if (pending_len > 0) {
        broadcast(pending, pending_len);
        pending_len = 0;
    }
}

static void publish(const char *body, size_t len)
{
    static char event[INPUT_BYTES + 128];
    char id[32];
    size_t id_len = (size_t)snprintf(id, sizeof(id), "id: %lu\n", ++event_count);
    size_t at = (size_t)snprintf(event, sizeof(event), "%zx\r\n%sdata: ", id_len + len + 8, id);
    memcpy(event + at, body, len);
    memcpy(event + at + len, "\n\n\r\n", 4);
    len += at + 4;
    if (!merges) {
        broadcast(event, len);
        return;
    }
    if (pending_len + len > sizeof(pending)) {
        flush_pending();
    }
    memcpy(pending + pending_len, event, len);
    pending_len += len;
}

static bool join(int fd)
{
    conns[fd].kind = READER;
    conns[fd].position = reader_count;
    readers[reader_count++] = fd;
    return put(fd, stream_head, sizeof(stream_head) - 1);
}

static bool pour(int fd)
{
    struct conn *conn = &conns[fd];
    for (int i = 0; i < FLOOD_EVENTS; i++) {
        size_t left =
            merges ? sizeof(flood) - conn->position : EVENT_BYTES - conn->position % EVENT_BYTES;
        ssize_t sent = write(fd, flood + conn->position, left);
        if (sent < 0) {
            return errno == EAGAIN;
        }
        conn->position = (conn->position + (uint32_t)sent) % sizeof(flood);
        if (merges) {
            break;
        }
    }
    return true;
}

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/// Answers one request; false when the connection cannot go on.
static bool answer(int fd, const char *head, const char *body, size_t body_len)
{
    if (begins(head, "POST /publish ")) {
        publish(body, body_len);
        return put(fd, no_content, sizeof(no_content) - 1);
    }
    if (begins(head, "GET /events ")) {
        return join(fd);
    }
    if (begins(head, "GET /first ")) {
        return put(fd, stream_first, sizeof(stream_first) - 1);
    }
    if (begins(head, "GET /firehose ")) {
        conns[fd].kind = FIREHOSE;
        watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
        return put(fd, stream_head, sizeof(stream_head) - 1);
    }
    if (begins(head, "GET /hello ")) {
        return put(fd, hello, sizeof(hello) - 1);
    }
    return put(fd, not_found, sizeof(not_found) - 1);
}

/// The length of the request at the start of `text`, and of its head; 0 while it is not all there.
static size_t measure(const char *text, size_t *head_len)
{
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    *head_len = (size_t)(end + 4 - text);
    size_t body_len = 0;
    if (text[0] == 'P') {
        const char *field = strcasestr(text, "\r\nContent-Length:");
        body_len = field != NULL && field < end ? strtoul(field + 17, NULL, 10) : 0;
    }
    return strlen(text) >= *head_len + body_len ? *head_len + body_len : 0;
}

static void serve(int fd)
{
    static char input[INPUT_BYTES + 1];
    struct conn *conn = &conns[fd];
    size_t held = conn->held_len;
    memcpy(input, conn->held != NULL ? conn->held : "", held);
    ssize_t count = recv(fd, input + held, INPUT_BYTES - held, 0);
    if (count < 0 && errno == EAGAIN) {
        return; // the event was for one who had the descriptor before
    }
    if (count <= 0) {
        leave(fd);
        return;
    }
    free(conn->held);
    conn->held = NULL;
    conn->held_len = 0;
    input[held + (size_t)count] = '\0';
    const char *at = input;
    size_t head_len;
    for (size_t len; (len = measure(at, &head_len)) > 0; at += len) {
        if (!answer(fd, at, at + head_len, len - head_len)) {
            leave(fd);
            return;
        }
    }
    if (*at != '\0') {
        conn->held = strdup(at);
        conn->held_len = (uint32_t)strlen(at);
    }
}

static void turn(const struct epoll_event *events, int count, int listening)
{
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == listening) {
            take(listening);
        } else if (events[i].events & ~(uint32_t)EPOLLOUT) {
            serve(fd);
        } else if (!pour(fd)) {
            leave(fd);
        }
    }
    flush_pending();
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    signal(SIGPIPE, SIG_IGN); // a reader that has left is met by the write
    if (argc < 2) {
        fprintf(stderr, "usage: limit PORT [--merge]\n");
        return 2;
    }
    merges = argc > 2 && strcmp(argv[2], "--merge") == 0;
    for (int i = 0; i < FLOOD_EVENTS; i++) {
        memcpy(flood + i * EVENT_BYTES, EVENT, EVENT_BYTES);
    }
    poll_fd = epoll_create1(0);
    int listening = listen_on(argv[1]);
    watch(EPOLL_CTL_ADD, listening, EPOLLIN);
    for (;;) {
        turn(events, epoll_wait(poll_fd, events, 256, -1), listening);
    }
}
