// SPDX-License-Identifier: MIT
#include "net/tcp.h"

#include "base/mem.h"
#include "net/loop.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/// What the kernel did not take, on its way out. Owned by libuv until `on_written`.
struct rest {
    uv_write_t request;
    struct buf bytes;
};

struct tcp {
    struct transport base;
    struct loop *loop;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_shutdown_t *shutdown; // while the sending side is closing
};

static struct tcp *tcp_of(const struct transport *transport);
static void start(struct transport *transport);
static void stop(struct transport *transport);
static int write_out(struct transport *transport, struct buf *out);
static int write_rest(struct tcp *tcp, struct buf *out);
static size_t pending_bytes(const struct transport *transport);
static size_t unsent_bytes(const struct transport *transport);
static void shut(struct transport *transport);
static void close_down(struct transport *transport, bool is_reset);
static bool peer_is_gone(const struct transport *transport);
static size_t peer_name(const struct transport *transport, char *out, size_t size);
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *room);
static void on_written(uv_write_t *request, int failure);
static void on_shut(uv_shutdown_t *request, int failure);
static void on_close(uv_handle_t *handle);

static const struct transport_ops tcp_ops = {
    .start = start,
    .stop = stop,
    .write = write_out,
    .pending_bytes = pending_bytes,
    .unsent_bytes = unsent_bytes,
    .shut = shut,
    .close = close_down,
    .peer_is_gone = peer_is_gone,
    .peer_name = peer_name,
};

struct transport *tcp_accept(struct loop *loop, uv_stream_t *listening)
{
    struct tcp *tcp = mem_new(struct tcp);
    tcp->base.ops = &tcp_ops;
    tcp->loop = loop;
    if (listening->type == UV_NAMED_PIPE) {
        uv_pipe_init(&loop->uv, &tcp->pipe, 0);
    } else {
        uv_tcp_init(&loop->uv, &tcp->tcp);
    }
    if (uv_accept(listening, &tcp->stream) != 0) {
        uv_close(&tcp->handle, on_close);
        return NULL;
    }
    return &tcp->base;
}

static struct tcp *tcp_of(const struct transport *transport)
{
    return CONTAINER_OF(transport, struct tcp, base);
}

static void start(struct transport *transport)
{
    (void)uv_read_start(&tcp_of(transport)->stream, on_room, on_read); // fails only when closing
}

static void stop(struct transport *transport)
{
    uv_read_stop(&tcp_of(transport)->stream);
}

static int write_out(struct transport *transport, struct buf *out)
{
    struct tcp *tcp = tcp_of(transport);
    DCHECK(uv_stream_get_write_queue_size(&tcp->stream) == 0);
    struct bytes bytes = buf_bytes(out);
    uv_buf_t vector = uv_buf_init((char *)bytes.at, (unsigned)bytes.len);
    int written = uv_try_write(&tcp->stream, &vector, 1);
    if (written == UV_EAGAIN) {
        written = 0;
    }
    if (written < 0) {
        return written;
    }
    buf_consume(out, (size_t)written);
    return buf_is_empty(out) ? 0 : write_rest(tcp, out);
}

/// The memory of `out` goes with the request: what waits is not copied.
static int write_rest(struct tcp *tcp, struct buf *out)
{
    struct rest *rest = mem_new(struct rest);
    buf_move(&rest->bytes, out);
    struct bytes bytes = buf_bytes(&rest->bytes);
    uv_buf_t vector = uv_buf_init((char *)bytes.at, (unsigned)bytes.len);
    int failure = uv_write(&rest->request, &tcp->stream, &vector, 1, on_written);
    if (failure != 0) {
        buf_reset(&rest->bytes);
        mem_free(rest);
        return failure;
    }
    return 1;
}

static size_t pending_bytes(const struct transport *transport)
{
    return uv_stream_get_write_queue_size(&tcp_of(transport)->stream);
}

/// TIOCOUTQ is what tcp(7) calls SIOCOUTQ: bytes that the peer has not acknowledged.
static size_t unsent_bytes(const struct transport *transport)
{
    int fd;
    int in_kernel = 0;
    if (uv_fileno(&tcp_of(transport)->handle, &fd) != 0 || ioctl(fd, TIOCOUTQ, &in_kernel) != 0) {
        in_kernel = 0;
    }
    return pending_bytes(transport) + (size_t)in_kernel;
}

static void shut(struct transport *transport)
{
    struct tcp *tcp = tcp_of(transport);
    if (tcp->shutdown != NULL) {
        return;
    }
    tcp->shutdown = mem_new(uv_shutdown_t);
    if (uv_shutdown(tcp->shutdown, &tcp->stream, on_shut) != 0) {
        mem_free(tcp->shutdown);
        tcp->shutdown = NULL;
    }
}

static void close_down(struct transport *transport, bool is_reset)
{
    struct tcp *tcp = tcp_of(transport);
    if (uv_is_closing(&tcp->handle)) {
        return;
    }
    // libuv refuses a reset after a shutdown was asked for; the option alone does the same.
    int fd;
    if (is_reset && tcp->handle.type == UV_TCP && uv_fileno(&tcp->handle, &fd) == 0) {
        struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    uv_close(&tcp->handle, on_close);
}

static bool peer_is_gone(const struct transport *transport)
{
    const struct tcp *tcp = tcp_of(transport);
    int fd;
    if (uv_fileno(&tcp->handle, &fd) != 0) {
        return true;
    }
    int failure = 0;
    socklen_t len = sizeof(failure);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0 || failure != 0) {
        return true;
    }
    struct tcp_info info = {0};
    len = sizeof(info);
    if (tcp->handle.type != UV_TCP || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0) {
        return false;
    }
    return info.tcpi_state == TCP_CLOSE;
}

static size_t peer_name(const struct transport *transport, char *out, size_t size)
{
    const struct tcp *tcp = tcp_of(transport);
    struct sockaddr_storage address;
    int len = sizeof(address);
    out[0] = '\0';
    if (tcp->handle.type != UV_TCP) {
        snprintf(out, size, "unix");
    } else if (uv_tcp_getpeername(&tcp->tcp, (struct sockaddr *)&address, &len) == 0) {
        (void)uv_ip_name((struct sockaddr *)&address, out, size);
    }
    return strnlen(out, size);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
    (void)suggested;
    struct tcp *tcp = CONTAINER_OF(handle, struct tcp, handle);
    *room = uv_buf_init(tcp->loop->read_memory, LOOP_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *room)
{
    struct tcp *tcp = CONTAINER_OF(stream, struct tcp, stream);
    if (count > 0) {
        tcp->base.events->on_bytes(tcp->base.user, room->base, (size_t)count);
    } else if (count == UV_EOF) {
        tcp->base.events->on_end(tcp->base.user);
    } else if (count < 0) {
        tcp->base.events->on_failed(tcp->base.user, (int)count);
    }
}

static void on_written(uv_write_t *request, int failure)
{
    struct rest *rest = CONTAINER_OF(request, struct rest, request);
    struct tcp *tcp = CONTAINER_OF(request->handle, struct tcp, stream);
    buf_reset(&rest->bytes);
    mem_free(rest);
    if (uv_is_closing(&tcp->handle)) {
        return;
    }
    if (failure != 0) {
        tcp->base.events->on_failed(tcp->base.user, failure);
    } else {
        tcp->base.events->on_drained(tcp->base.user);
    }
}

static void on_shut(uv_shutdown_t *request, int failure)
{
    (void)failure; // the peer is gone then, and reading says so
    mem_free(request);
}

static void on_close(uv_handle_t *handle)
{
    struct tcp *tcp = CONTAINER_OF(handle, struct tcp, handle);
    if (tcp->base.events != NULL) {
        tcp->base.events->on_closed(tcp->base.user);
    }
    mem_free(tcp);
}
