// SPDX-License-Identifier: MIT
//
// A socket that listens, TCP or Unix: bound here, or taken over from another program. The address
// is exclusive: a second server on it is refused. Several sockets may still share it, one for each
// worker, if they are made from the first one (`listening_share`). A value; the descriptor belongs
// to whoever has it, until a listener takes it.
#pragma once

#include "base/check.h"
#include "net/socket_address.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct listening {
    struct socket_address address; // port 0 has become a real one
    int fd;
    bool owns_path; // of a Unix socket that was bound here: its file goes when it closes ...
    dev_t device;   // ... if it is still this one
    ino_t inode;
};

/// Binds and listens on a literal IPv4 or IPv6 address, "localhost" standing for 127.0.0.1. Port 0
/// picks a free one. Connections get TCP_NODELAY, `peer_timeout_ms` as TCP_USER_TIMEOUT and the
/// kernel's keepalive, inherited from the listening socket, and can be accepted from their first
/// byte on, or about a second after they were made (TCP_DEFER_ACCEPT). Returns 0 or a negative
/// errno (EADDRINUSE, EACCES, EADDRNOTAVAIL, EINVAL for an address that is not one); then nothing
/// is open.
MUST_USE int listening_tcp(struct listening *listening, const char *host, uint16_t port,
                           uint64_t peer_timeout_ms);

/// Binds and listens on a Unix socket, whose file gets `mode`, or with 0 what the process's umask
/// leaves. A socket file that nobody listens on is replaced; one that is in use gives -EADDRINUSE,
/// a file of another kind -EEXIST. No other thread should make files meanwhile: it changes the
/// umask.
MUST_USE int listening_unix(struct listening *listening, const char *path, mode_t mode);

/// Takes over `fd`, which another program has bound and listens on. Returns 0, or a negative errno:
/// ENOTSOCK, or EINVAL when it is not a stream socket of these kinds that listens.
MUST_USE int listening_adopt(struct listening *listening, int fd, uint64_t peer_timeout_ms);

/// Makes `shared` another socket on the address of `first`, which `listening_tcp` has made: the
/// kernel spreads connections over them. Nobody else can join: programs that do not ask for sharing
/// are refused, and so is every other Lunesse. Returns 0 or a negative errno.
MUST_USE int listening_share(struct listening *shared, const struct listening *first,
                             uint64_t peer_timeout_ms);

/// Connections that are accepted from now on have this TCP_USER_TIMEOUT. Nothing for a Unix socket.
void listening_set_peer_timeout(const struct listening *listening, uint64_t peer_timeout_ms);

/// Closes the descriptor, and removes the file of a Unix socket that was bound here, unless the
/// path belongs to another file by now.
void listening_close(const struct listening *listening);
