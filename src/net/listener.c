// SPDX-License-Identifier: MIT
#include "net/listener.h"

#include "net/tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTENER_BACKLOG = 4096 };

static int parse_address(const char *host, uint16_t port, struct sockaddr_storage *address);
static void set_options(struct listener *listener, uint64_t peer_timeout_ms);
static int listen_now(struct listener *listener, struct loop *loop);
static int clear_path(const char *path);
static bool is_dead(const char *path);
static void on_connection(uv_stream_t *stream, int failure);
static void on_close(uv_handle_t *handle);

int listener_open_tcp(struct listener *listener, struct loop *loop, const char *host, uint16_t port,
                      uint64_t peer_timeout_ms)
{
    struct sockaddr_storage address;
    uv_tcp_init(&loop->uv, &listener->tcp);
    listener->is_open = true;
    int failure = parse_address(host, port, &address);
    if (failure == 0) {
        failure = uv_tcp_bind(&listener->tcp, (struct sockaddr *)&address, 0);
    }
    if (failure == 0) {
        set_options(listener, peer_timeout_ms);
        failure = listen_now(listener, loop);
    }
    if (failure != 0) {
        listener_close(listener);
    }
    return failure;
}

int listener_open_unix(struct listener *listener, struct loop *loop, const char *path)
{
    uv_pipe_init(&loop->uv, &listener->pipe, 0);
    listener->is_open = true;
    int failure = clear_path(path);
    if (failure == 0) {
        failure = uv_pipe_bind(&listener->pipe, path);
    }
    if (failure == 0) {
        failure = listen_now(listener, loop);
    }
    if (failure != 0) {
        listener_close(listener);
    }
    return failure;
}

uint16_t listener_port(const struct listener *listener)
{
    struct sockaddr_storage address;
    int len = sizeof(address);
    if (listener->handle.type != UV_TCP ||
        uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&address, &len) != 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

void listener_url(const struct listener *listener, char *out, size_t size)
{
    struct sockaddr_storage address;
    int len = sizeof(address);
    char text[108] = "";
    if (listener->handle.type != UV_TCP) {
        size_t text_size = sizeof(text);
        (void)uv_pipe_getsockname(&listener->pipe, text, &text_size); // an empty text says enough
        snprintf(out, size, "unix:%s", text);
        return;
    }
    (void)uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&address, &len); // it is bound
    (void)uv_ip_name((struct sockaddr *)&address, text, sizeof(text));
    snprintf(out, size, address.ss_family == AF_INET6 ? "http://[%s]:%u" : "http://%s:%u", text,
             listener_port(listener));
}

void listener_close(struct listener *listener)
{
    if (listener->is_open) {
        listener->is_open = false;
        uv_close(&listener->handle, on_close);
    }
}

static int parse_address(const char *host, uint16_t port, struct sockaddr_storage *address)
{
    const char *literal = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (uv_ip4_addr(literal, port, (struct sockaddr_in *)address) == 0) {
        return 0;
    }
    return uv_ip6_addr(literal, port, (struct sockaddr_in6 *)address);
}

/// Linux hands these options on to accepted sockets, which saves two system calls a connection.
static void set_options(struct listener *listener, uint64_t peer_timeout_ms)
{
    int fd;
    int yes = 1;
    unsigned timeout_ms = peer_timeout_ms > INT32_MAX ? INT32_MAX : (unsigned)peer_timeout_ms;
    if (uv_fileno(&listener->handle, &fd) == 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    }
}

static int listen_now(struct listener *listener, struct loop *loop)
{
    listener->loop = loop;
    return uv_listen(&listener->stream, LISTENER_BACKLOG, on_connection);
}

/// Removes a socket file that a dead server left behind.
static int clear_path(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        return 0;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return UV_EEXIST;
    }
    if (!is_dead(path)) {
        return UV_EADDRINUSE;
    }
    return unlink(path) == 0 ? 0 : -errno;
}

/// Only a refusal proves that nobody listens: a busy server lets us wait, another user's says no.
static bool is_dead(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_refused =
        connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno == ECONNREFUSED;
    close(fd);
    return is_refused;
}

static void on_connection(uv_stream_t *stream, int failure)
{
    struct listener *listener = CONTAINER_OF(stream, struct listener, stream);
    if (failure != 0) {
        return; // out of descriptors: libuv has already shed the connection
    }
    struct transport *transport = tcp_accept(listener->loop, stream);
    if (transport != NULL) {
        listener->on_accept(listener->user, transport);
    }
}

static void on_close(uv_handle_t *handle)
{
    struct listener *listener = CONTAINER_OF(handle, struct listener, handle);
    if (listener->on_closed != NULL) {
        listener->on_closed(listener->user, listener);
    }
}
