// SPDX-License-Identifier: MIT
//
// Bytes come in when the poller says so: `read_in` reads into the memory that all transports of the
// loop share, and hands it up before anything else is read. Bytes go out when the user says so:
// `write_out` gives the pieces to the kernel and returns what it took. Nothing is kept here.
#include "net/tcp.h"

#include "base/slab.h"
#include "net/loop.h"
#include "net/socket_address.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct tcp {
    struct transport base;
    struct polled polled;
    struct loop *loop;
};

static struct tcp *tcp_of(const struct transport *transport);
static void start(struct transport *transport);
static void stop(struct transport *transport);
static ssize_t write_out(struct transport *transport, const struct bytes *pieces, int count);
static void await_room(struct transport *transport);
static size_t unsent_bytes(const struct transport *transport);
static void shut(struct transport *transport);
static void close_down(struct transport *transport, bool is_reset);
static int duplicate_socket(const struct transport *transport);
static ssize_t send_pieces(int fd, const struct bytes *pieces, int count);
static void want(struct tcp *tcp, unsigned events);
static void on_ready(struct polled *polled, unsigned events);
static void read_in(struct tcp *tcp);
static int failure_of(const struct tcp *tcp);
static void on_closed(struct polled *polled);

static const struct transport_ops tcp_ops = {
    .start = start,
    .stop = stop,
    .write = write_out,
    .await_room = await_room,
    .unsent_bytes = unsent_bytes,
    .shut = shut,
    .close = close_down,
    .duplicate_socket = duplicate_socket,
};

struct transport *tcp_of_socket(struct loop *loop, int fd)
{
    DCHECK(fd >= 0);
    struct tcp *tcp = slab_new(struct tcp);
    tcp->base.ops = &tcp_ops;
    tcp->loop = loop;
    tcp->polled.fd = fd;
    tcp->polled.on_ready = on_ready;
    tcp->polled.on_closed = on_closed;
    polled_open(&loop->poller, &tcp->polled);
    return &tcp->base;
}

void tcp_read(struct transport *transport)
{
    struct tcp *tcp = tcp_of(transport);
    if (!polled_is_closing(&tcp->polled) && (tcp->polled.wanted & POLL_READ)) {
        read_in(tcp);
    }
}

int tcp_connect_from(struct loop *loop, const char *source, const char *host, uint16_t port,
                     struct transport **transport)
{
    struct socket_address from;
    struct socket_address to;
    int failure = socket_address_parse(&to, host, port);
    if (failure == 0 && source != NULL) {
        failure = socket_address_parse(&from, source, 0);
    }
    if (failure != 0) {
        return failure;
    }
    int fd = socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if ((source != NULL && bind(fd, (struct sockaddr *)&from.storage, from.len) != 0) ||
        (connect(fd, (struct sockaddr *)&to.storage, to.len) != 0 && errno != EINPROGRESS)) {
        failure = -errno;
        close(fd);
        return failure;
    }
    *transport = tcp_of_socket(loop, fd);
    await_room(*transport);
    return 0;
}

static struct tcp *tcp_of(const struct transport *transport)
{
    return CONTAINER_OF(transport, struct tcp, base);
}

static void start(struct transport *transport)
{
    struct tcp *tcp = tcp_of(transport);
    DCHECK(tcp->base.events != NULL && !polled_is_closing(&tcp->polled));
    want(tcp, tcp->polled.wanted | POLL_READ);
}

static void stop(struct transport *transport)
{
    struct tcp *tcp = tcp_of(transport);
    want(tcp, tcp->polled.wanted & ~(unsigned)POLL_READ);
}

static ssize_t write_out(struct transport *transport, const struct bytes *pieces, int count)
{
    int fd = tcp_of(transport)->polled.fd;
    OWNED(&tcp_of(transport)->loop->owner);
    DCHECK(!polled_is_closing(&tcp_of(transport)->polled));
    DCHECK(count > 0 && count <= TRANSPORT_PIECES_MAX);
    ssize_t written;
    do {
        written = send_pieces(fd, pieces, count);
    } while (written < 0 && errno == EINTR);
    if (written >= 0) {
        return written;
    }
    return errno == EAGAIN || errno == ENOBUFS ? 0 : -errno;
}

static void await_room(struct transport *transport)
{
    struct tcp *tcp = tcp_of(transport);
    want(tcp, tcp->polled.wanted | POLL_WRITE);
}

/// TIOCOUTQ (SIOCOUTQ in tcp(7)) counts bytes that the peer has not acknowledged.
static size_t unsent_bytes(const struct transport *transport)
{
    int in_kernel = 0;
    if (ioctl(tcp_of(transport)->polled.fd, TIOCOUTQ, &in_kernel) != 0) {
        in_kernel = 0;
    }
    return (size_t)in_kernel;
}

static void shut(struct transport *transport)
{
    (void)shutdown(tcp_of(transport)->polled.fd,
                   SHUT_WR); // fails only if the peer is gone, which reading tells
}

static void close_down(struct transport *transport, bool is_reset)
{
    struct tcp *tcp = tcp_of(transport);
    if (is_reset && !polled_is_closing(&tcp->polled)) {
        struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(tcp->polled.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    polled_close(&tcp->loop->poller, &tcp->polled);
}

static int duplicate_socket(const struct transport *transport)
{
    DCHECK(!polled_is_closing(&tcp_of(transport)->polled));
    int fd = fcntl(tcp_of(transport)->polled.fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/// `send` and `recv` go straight to the socket. `write` and `read` do more in the kernel, because
/// they serve files of every kind.
static ssize_t send_pieces(int fd, const struct bytes *pieces, int count)
{
    if (count == 1) {
        return send(fd, pieces[0].at, pieces[0].len, MSG_NOSIGNAL);
    }
    struct iovec vector[TRANSPORT_PIECES_MAX];
    for (int i = 0; i < count; i++) {
        vector[i] = (struct iovec){(void *)pieces[i].at, pieces[i].len};
    }
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/// Watches the socket for what the user wants. This fails only when the kernel has no memory to
/// watch another socket. The peer then waits until a deadline ends the connection.
static void want(struct tcp *tcp, unsigned events)
{
    IGNORE(polled_want(&tcp->loop->poller, &tcp->polled, events));
}

/// After a failure, bytes that came before it are still read if reading is on; then reading itself
/// meets the failure and reports it. If reading is off, the failure is reported here.
static void on_ready(struct polled *polled, unsigned events)
{
    struct tcp *tcp = CONTAINER_OF(polled, struct tcp, polled);
    bool has_failed = (events & POLL_FAILED) != 0;
    if ((events & POLL_READ) || (has_failed && (polled->wanted & POLL_READ))) {
        read_in(tcp);
    } else if (has_failed) {
        int failure = failure_of(tcp);
        tcp->base.events->on_failed(tcp->base.user, failure == 0 ? -ECONNRESET : failure);
        return;
    }
    if ((events & POLL_WRITE) && !polled_is_closing(polled)) {
        want(tcp, polled->wanted & ~(unsigned)POLL_WRITE);
        tcp->base.events->on_room(tcp->base.user);
    }
}

static void read_in(struct tcp *tcp)
{
    char *memory = tcp->loop->read_memory;
    ssize_t count = recv(tcp->polled.fd, memory, LOOP_READ_BYTES, 0);
    if (count > 0) {
        tcp->base.events->on_bytes(tcp->base.user, memory, (size_t)count);
    } else if (count == 0) {
        want(tcp, tcp->polled.wanted & ~(unsigned)POLL_READ);
        tcp->base.events->on_end(tcp->base.user);
    } else if (errno != EAGAIN && errno != EINTR) {
        tcp->base.events->on_failed(tcp->base.user, -errno);
    }
}

/// The pending error of the socket as a negative errno; 0 for none.
static int failure_of(const struct tcp *tcp)
{
    int failure = 0;
    socklen_t len = sizeof(failure);
    if (getsockopt(tcp->polled.fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0) {
        return -errno;
    }
    return -failure;
}

static void on_closed(struct polled *polled)
{
    struct tcp *tcp = CONTAINER_OF(polled, struct tcp, polled);
    if (tcp->base.events != NULL) {
        tcp->base.events->on_closed(tcp->base.user);
    }
    slab_free(tcp);
}
