// SPDX-License-Identifier: MIT
//
// A listening socket gets its options here, and each connection that it accepts inherits them: that
// saves system calls a connection. The address is bound without SO_REUSEPORT first, so that a
// second server is refused; workers share it afterwards.
#include "net/listen_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    FILE_MODES = 0777,
    SILENT_SECONDS = 1, // after about so long a peer that says nothing is accepted
    MS_PER_SECOND = 1000,
    KEEPALIVE_SECONDS_MAX = 32767, // what the kernel takes
};

static int open_socket(struct listen_socket *listen_socket);
static int check_adopted(int fd, struct socket_address *address);
static int int_option(int fd, int name);
static int set_options(int fd, uint64_t peer_timeout_ms);
static bool set_peer_timeout(int fd, uint64_t peer_timeout_ms);
static int keepalive_seconds(uint64_t ms);
static bool set_tcp(int fd, int name, int value);
static int set_reuse_port(int fd);
static int bind_and_listen(struct listen_socket *listen_socket);
static int give_up(const struct listen_socket *listen_socket, int failure);
static void note_file(struct listen_socket *listen_socket);
static bool has_own_file(const struct listen_socket *listen_socket);
static int clear_path(const struct socket_address *address, const char *path);
static int check_dead(const struct socket_address *address);

int listen_socket_tcp(struct listen_socket *listen_socket, const char *host, uint16_t port,
                      uint64_t peer_timeout_ms)
{
    int failure = socket_address_parse(&listen_socket->address, host, port);
    if (failure == 0) {
        failure = open_socket(listen_socket);
    }
    if (failure != 0) {
        return failure;
    }
    failure = set_options(listen_socket->fd, peer_timeout_ms);
    return failure != 0 ? give_up(listen_socket, failure) : bind_and_listen(listen_socket);
}

/// The umask gives the file its mode from the first moment on. chmod would come after it, and might
/// meet another file at the path.
int listen_socket_unix(struct listen_socket *listen_socket, const char *path, mode_t mode)
{
    int failure = socket_address_of_path(&listen_socket->address, path);
    if (failure == 0) {
        failure = clear_path(&listen_socket->address, path);
    }
    if (failure == 0) {
        failure = open_socket(listen_socket);
    }
    if (failure == 0) {
        mode_t before = mode == 0 ? 0 : umask(~mode & FILE_MODES);
        failure = bind_and_listen(listen_socket);
        if (mode != 0) {
            umask(before);
        }
    }
    if (failure == 0) {
        note_file(listen_socket);
    }
    return failure;
}

int listen_socket_adopt(struct listen_socket *listen_socket, int fd, uint64_t peer_timeout_ms)
{
    *listen_socket = (struct listen_socket){.fd = fd};
    int failure = check_adopted(fd, &listen_socket->address);
    if (failure == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        failure = -errno;
    }
    if (failure == 0 && listen_socket->address.storage.ss_family != AF_UNIX) {
        failure = set_options(fd, peer_timeout_ms);
    }
    return failure != 0 ? give_up(listen_socket, failure) : 0;
}

/// The first socket was bound without SO_REUSEPORT. The kernel allows that only where nobody else
/// is bound, whether they share or not. From now on both sockets have the option.
int listen_socket_share(struct listen_socket *shared, const struct listen_socket *first,
                        uint64_t peer_timeout_ms)
{
    shared->address = first->address;
    int failure = set_reuse_port(first->fd);
    if (failure == 0) {
        failure = open_socket(shared);
    }
    if (failure != 0) {
        return failure;
    }
    failure = set_options(shared->fd, peer_timeout_ms);
    if (failure == 0) {
        failure = set_reuse_port(shared->fd);
    }
    return failure != 0 ? give_up(shared, failure) : bind_and_listen(shared);
}

void listen_socket_set_peer_timeout(const struct listen_socket *listen_socket,
                                    uint64_t peer_timeout_ms)
{
    if (listen_socket->address.storage.ss_family != AF_UNIX) {
        (void)set_peer_timeout(listen_socket->fd,
                               peer_timeout_ms); // it succeeded once on this socket
    }
}

void listen_socket_remove_file(const struct listen_socket *listen_socket)
{
    if (listen_socket->owns_path && has_own_file(listen_socket)) {
        (void)unlink(
            socket_address_path(&listen_socket->address)); // fails when the file is gone already
    }
}

void listen_socket_close(const struct listen_socket *listen_socket)
{
    listen_socket_remove_file(listen_socket);
    close(listen_socket->fd);
}

static int open_socket(struct listen_socket *listen_socket)
{
    int family = listen_socket->address.storage.ss_family;
    listen_socket->owns_path = false;
    listen_socket->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return listen_socket->fd < 0 ? -errno : 0;
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

/// The value of an option of the socket; -1 if the socket has no such option.
static int int_option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/// Accepted sockets inherit these options on Linux, which saves two system calls a connection.
/// TCP_DEFER_ACCEPT wakes the worker when the request is there: once for a connection, not twice,
/// and the request can be read at once. With SO_KEEPALIVE the kernel asks a peer to which nothing
/// is sent for long (a stream without heartbeats, a handler that waits) whether it is still there.
/// After `peer_timeout_ms` without an answer the connection fails with ETIMEDOUT.
static int set_options(int fd, uint64_t peer_timeout_ms)
{
    int yes = 1;
    bool is_set = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
                  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes)) == 0 &&
                  set_tcp(fd, TCP_NODELAY, yes) && set_tcp(fd, TCP_DEFER_ACCEPT, SILENT_SECONDS) &&
                  set_peer_timeout(fd, peer_timeout_ms);
    return is_set ? 0 : -errno;
}

static bool set_peer_timeout(int fd, uint64_t peer_timeout_ms)
{
    int timeout_ms = peer_timeout_ms > INT32_MAX ? INT32_MAX : (int)peer_timeout_ms;
    return set_tcp(fd, TCP_USER_TIMEOUT, timeout_ms) &&
           set_tcp(fd, TCP_KEEPIDLE, keepalive_seconds(peer_timeout_ms / 2)) &&
           set_tcp(fd, TCP_KEEPINTVL, keepalive_seconds(peer_timeout_ms / 6));
}

static int keepalive_seconds(uint64_t ms)
{
    uint64_t seconds = ms / MS_PER_SECOND;
    return seconds < 1 ? 1 : seconds > KEEPALIVE_SECONDS_MAX ? KEEPALIVE_SECONDS_MAX : (int)seconds;
}

static bool set_tcp(int fd, int name, int value)
{
    return setsockopt(fd, IPPROTO_TCP, name, &value, sizeof(value)) == 0;
}

static int set_reuse_port(int fd)
{
    int yes = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) == 0 ? 0 : -errno;
}

static int bind_and_listen(struct listen_socket *listen_socket)
{
    struct socket_address *address = &listen_socket->address;
    if (bind(listen_socket->fd, (struct sockaddr *)&address->storage, address->len) != 0 ||
        listen(listen_socket->fd, BACKLOG) != 0) {
        return give_up(listen_socket, -errno);
    }
    if (address->storage.ss_family != AF_UNIX) {
        CHECK(getsockname(listen_socket->fd, (struct sockaddr *)&address->storage, &address->len) ==
              0);
    }
    return 0;
}

static int give_up(const struct listen_socket *listen_socket, int failure)
{
    close(listen_socket->fd);
    return failure;
}

static void note_file(struct listen_socket *listen_socket)
{
    struct stat status;
    if (lstat(socket_address_path(&listen_socket->address), &status) == 0) {
        listen_socket->owns_path = true;
        listen_socket->device = status.st_dev;
        listen_socket->inode = status.st_ino;
    }
}

/// Whether the path still leads to this socket's file. The file may have been removed, and another
/// server may have bound the path. The inode shows it: the kernel does not use it again while this
/// socket is open.
static bool has_own_file(const struct listen_socket *listen_socket)
{
    struct stat status;
    return lstat(socket_address_path(&listen_socket->address), &status) == 0 &&
           status.st_dev == listen_socket->device && status.st_ino == listen_socket->inode;
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
    int failure = check_dead(address);
    return failure != 0 ? failure : unlink(path) == 0 ? 0 : -errno;
}

/// Only ECONNREFUSED proves that nobody listens. A busy server makes us wait (EAGAIN), and another
/// user's socket denies access (EACCES).
static int check_dead(const struct socket_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    bool is_refused = connect(fd, (struct sockaddr *)&address->storage, address->len) != 0 &&
                      errno == ECONNREFUSED;
    close(fd);
    return is_refused ? 0 : -EADDRINUSE;
}
