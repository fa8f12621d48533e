// SPDX-License-Identifier: MIT
#include "net/listener.h"

#include "base/check.h"
#include "net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LISTENER_BACKLOG = 4096,
    ACCEPTED_MAX = 256, // in one go, so that those who are connected get their turn
};

static int open_socket(struct listener *listener, struct loop *loop);
static int check_adopted(int fd, struct socket_address *address);
static int int_option(int fd, int name);
static int set_options(int fd, uint64_t peer_timeout_ms);
static int bind_and_listen(struct listener *listener);
static int watch(struct listener *listener);
static int give_up(struct listener *listener, int failure);
static int clear_path(const struct socket_address *address, const char *path);
static bool is_dead(const struct socket_address *address);
static void on_ready(uv_poll_t *poll, int failure, int events);
static void turn_away(struct listener *listener);
static void on_close(uv_handle_t *handle);

int listener_open_tcp(struct listener *listener, struct loop *loop, const char *host, uint16_t port,
                      uint64_t peer_timeout_ms)
{
    int failure = socket_address_parse(&listener->_address, host, port);
    if (failure != 0) {
        return failure;
    }
    failure = open_socket(listener, loop);
    if (failure != 0) {
        return failure;
    }
    failure = set_options(listener->_fd, peer_timeout_ms);
    return failure != 0 ? give_up(listener, failure) : bind_and_listen(listener);
}

int listener_open_unix(struct listener *listener, struct loop *loop, const char *path)
{
    int failure = socket_address_parse(&listener->_address, path, 0);
    if (failure == 0) {
        failure = clear_path(&listener->_address, path);
    }
    if (failure == 0) {
        failure = open_socket(listener, loop);
    }
    return failure != 0 ? failure : bind_and_listen(listener);
}

int listener_adopt(struct listener *listener, struct loop *loop, int fd, uint64_t peer_timeout_ms)
{
    listener->_loop = loop;
    listener->_fd = fd;
    listener->_spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    listener->_is_adopted = true;
    int failure = check_adopted(fd, &listener->_address);
    if (failure == 0 && listener->_address.storage.ss_family != AF_UNIX) {
        failure = set_options(fd, peer_timeout_ms);
    }
    return failure != 0 ? give_up(listener, failure) : watch(listener);
}

uint16_t listener_port(const struct listener *listener)
{
    return socket_address_port(&listener->_address);
}

void listener_url(const struct listener *listener, char *out, size_t size)
{
    socket_address_url(&listener->_address, out, size);
}

void listener_close(struct listener *listener)
{
    if (!listener->is_open) {
        return;
    }
    listener->is_open = false;
    uv_close((uv_handle_t *)&listener->_poll, on_close);
    close(listener->_fd);
    close(listener->_spare_fd);
    if (listener->_address.storage.ss_family == AF_UNIX && !listener->_is_adopted) {
        (void)unlink(socket_address_path(&listener->_address)); // who removed it was quicker
    }
}

static int open_socket(struct listener *listener, struct loop *loop)
{
    int family = listener->_address.storage.ss_family;
    listener->_loop = loop;
    listener->_fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->_fd < 0) {
        return -errno;
    }
    listener->_spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return 0;
}

static int check_adopted(int fd, struct socket_address *address)
{
    *address = (struct socket_address){.len = sizeof(address->storage)};
    if (getsockname(fd, (struct sockaddr *)&address->storage, &address->len) != 0) {
        return -errno;
    }
    int family = address->storage.ss_family;
    bool is_known = family == AF_INET || family == AF_INET6 || family == AF_UNIX;
    return is_known && int_option(fd, SO_TYPE) == SOCK_STREAM && int_option(fd, SO_ACCEPTCONN) == 1
               ? 0
               : -EINVAL;
}

/// -1 where the socket has no such option.
static int int_option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/// Linux hands these options on to accepted sockets, which saves two system calls a connection.
static int set_options(int fd, uint64_t peer_timeout_ms)
{
    int yes = 1;
    unsigned timeout_ms = peer_timeout_ms > INT32_MAX ? INT32_MAX : (unsigned)peer_timeout_ms;
    bool is_set =
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)) == 0;
    return is_set ? 0 : -errno;
}

static int bind_and_listen(struct listener *listener)
{
    struct socket_address *address = &listener->_address;
    if (bind(listener->_fd, (struct sockaddr *)&address->storage, address->len) != 0 ||
        listen(listener->_fd, LISTENER_BACKLOG) != 0) {
        return give_up(listener, -errno);
    }
    if (address->storage.ss_family != AF_UNIX) { // port 0 has become a real one
        CHECK(getsockname(listener->_fd, (struct sockaddr *)&address->storage, &address->len) == 0);
    }
    return watch(listener);
}

static int watch(struct listener *listener)
{
    int failure = uv_poll_init(&listener->_loop->uv, &listener->_poll, listener->_fd);
    if (failure != 0) {
        return give_up(listener, failure);
    }
    listener->is_open = true;
    CHECK(uv_poll_start(&listener->_poll, UV_READABLE, on_ready) == 0);
    return 0;
}

static int give_up(struct listener *listener, int failure)
{
    close(listener->_fd);
    close(listener->_spare_fd);
    return failure;
}

/// Removes a socket file that a dead server left behind.
static int clear_path(const struct socket_address *address, const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        return 0;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return -EEXIST;
    }
    if (!is_dead(address)) {
        return -EADDRINUSE;
    }
    return unlink(path) == 0 ? 0 : -errno;
}

/// Only a refusal proves that nobody listens: a busy server lets us wait, another user's says no.
static bool is_dead(const struct socket_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_refused = connect(fd, (struct sockaddr *)&address->storage, address->len) != 0 &&
                      errno == ECONNREFUSED;
    close(fd);
    return is_refused;
}

static void on_ready(uv_poll_t *poll, int failure, int events)
{
    (void)failure; // a listening socket has none of its own
    (void)events;
    struct listener *listener = CONTAINER_OF(poll, struct listener, _poll);
    for (int i = 0; i < ACCEPTED_MAX && listener->is_open; i++) {
        int fd = accept4(listener->_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) {
                turn_away(listener);
            }
            return;
        }
        listener->on_accept(listener->user, tcp_of_socket(listener->_loop, fd));
    }
}

/// Without a descriptor the peer would wait in the backlog, and the loop would spin.
static void turn_away(struct listener *listener)
{
    close(listener->_spare_fd);
    int fd = accept4(listener->_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    listener->_spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_close(uv_handle_t *handle)
{
    struct listener *listener = CONTAINER_OF(handle, struct listener, _poll);
    if (listener->on_closed != NULL) {
        listener->on_closed(listener->user, listener);
    }
}
