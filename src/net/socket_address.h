// SPDX-License-Identifier: MIT
//
// A socket's address from and to text: literal IPv4 and IPv6 addresses with a port, "localhost"
// standing for 127.0.0.1, and paths of Unix sockets, which begin with a slash. Pure.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct socket_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/// Parses `host`, an IPv4 or IPv6 address or "localhost". Returns 0, or -EINVAL for anything else.
MUST_USE int socket_address_parse(struct socket_address *address, const char *host, uint16_t port);

/// The address of a Unix socket. Returns 0, or -ENAMETOOLONG.
MUST_USE int socket_address_of_path(struct socket_address *address, const char *path);

/// The address of the 16 bytes at `ip`. If it `is_four`, the last four are an IPv4 address.
void socket_address_of_ip(struct socket_address *address, const unsigned char *ip, bool is_four,
                          uint16_t port);

/// The port; 0 for a Unix socket.
uint16_t socket_address_port(const struct socket_address *address);

/// The path of a Unix socket.
const char *socket_address_path(const struct socket_address *address);

/// Writes the host alone ("192.0.2.1", "2001:db8::1", "unix") to `out`; returns its length.
size_t socket_address_host(const struct socket_address *address, char *out, size_t size);

/// The host of a peer in the room of one pointer, so that every connection can keep it. An IPv4
/// address is stored in the pointer itself, an IPv6 address in memory that it points to. A Unix
/// socket's peer is all zero.
struct peer {
    union {
        uintptr_t _bits;
        struct in6_addr *_ip6;
    };
};

/// `peer_free` frees it, on the same thread.
struct peer peer_of(const struct socket_address *address);
void peer_free(struct peer peer);

/// Writes the host as `socket_address_host` does.
size_t peer_host(struct peer peer, char *out, size_t size);

enum { PEER_HOST_BYTES_MAX = 46 }; // with its NUL

/// Writes it as a URL: "http://127.0.0.1:3000", "http://[::1]:3000", "unix:/path" or, for an
/// abstract name, "unix:@name".
void socket_address_url(const struct socket_address *address, char *out, size_t size);
