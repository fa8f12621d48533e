// SPDX-License-Identifier: MIT
//
// A socket that listens, TCP or Unix: bound here, or taken over from another program. The address
// is exclusive: a second server on it is refused. Several sockets may still share it, one for each
// worker, if they are made from the first one (`listen_socket_share`). The struct is a plain value.
// Its descriptor belongs to the struct's owner, until an acceptor takes it over.
#pragma once

#include "base/check.h"
#include "net/socket_address.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct listen_socket {
    struct socket_address address; // port 0 has become a real one
    int fd;
    bool owns_path; // a Unix socket that was bound here: its file is removed at the end,
    dev_t device;   // if it is still this file
    ino_t inode;
};

/// Binds and listens on a literal IPv4 or IPv6 address, "localhost" standing for 127.0.0.1. Port 0
/// picks a free one. Connections get TCP_NODELAY, `peer_timeout_ms` as TCP_USER_TIMEOUT and the
/// kernel's keepalive, inherited from the listening socket, and can be accepted from their first
/// byte on, or about a second after they were made if none has come (TCP_DEFER_ACCEPT). Returns 0
/// or a negative errno (EADDRINUSE, EACCES, EADDRNOTAVAIL, EINVAL for an address that is not one);
/// then nothing is open.
MUST_USE int listen_socket_tcp(struct listen_socket *listen_socket, const char *host, uint16_t port,
                               uint64_t peer_timeout_ms);

/// Binds and listens on a Unix socket, whose file gets `mode`, or with 0 what the process's umask
/// leaves. A socket file that nobody listens on is replaced; one that is in use gives -EADDRINUSE,
/// a file of another kind -EEXIST. It changes the umask for a moment, so no other thread should
/// make files meanwhile.
MUST_USE int listen_socket_unix(struct listen_socket *listen_socket, const char *path, mode_t mode);

/// Takes over `fd`, which another program has bound and listens on; from now on it does not block.
/// Returns 0, or a negative errno: ENOTSOCK, or EINVAL when it is not a stream socket of these
/// kinds that listens.
MUST_USE int listen_socket_adopt(struct listen_socket *listen_socket, int fd,
                                 uint64_t peer_timeout_ms);

/// Makes `shared` another socket on the address of `first`, which `listen_socket_tcp` has made. The
/// kernel spreads connections over them. Another program cannot join, not even another Lunesse:
/// each first binds without sharing, and is refused. Returns 0 or a negative errno.
MUST_USE int listen_socket_share(struct listen_socket *shared, const struct listen_socket *first,
                                 uint64_t peer_timeout_ms);

/// Gives connections that are accepted from now on this TCP_USER_TIMEOUT. Does nothing to a Unix
/// socket.
void listen_socket_set_peer_timeout(const struct listen_socket *listen_socket,
                                    uint64_t peer_timeout_ms);

/// Removes the file of a Unix socket that was bound here, unless the path belongs to another file
/// by now. To be called while the socket is open. Otherwise a peer could find the file of a socket
/// that is closed.
void listen_socket_remove_file(const struct listen_socket *listen_socket);

/// Does the same as `listen_socket_remove_file`, and closes the descriptor.
void listen_socket_close(const struct listen_socket *listen_socket);
