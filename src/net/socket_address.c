// SPDX-License-Identifier: MIT
//
// An address exists in two forms. A `struct socket_address` is what the kernel takes and gives. A
// `struct peer` is the few bytes that are kept of it for each connection: an IPv4 address in place,
// an IPv6 address in memory of its own.
#include "net/socket_address.h"

#include "base/decimal.h"
#include "base/slab.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { PEER_IS_IP4 = 1, PEER_IP4_SHIFT = 8 };

static_assert(sizeof(uintptr_t) >= 8, "an IPv4 address and a mark fit in a pointer");

static size_t write_ip4(struct in_addr ip, char *out, size_t size);
static const struct sockaddr_in *ip4(const struct socket_address *address);
static const struct sockaddr_in6 *ip6(const struct socket_address *address);

int socket_address_parse(struct socket_address *address, const char *host, uint16_t port)
{
    *address = (struct socket_address){0};
    const char *literal = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    struct sockaddr_in *four = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->storage;
    if (inet_pton(AF_INET, literal, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        address->len = sizeof(*four);
        return 0;
    }
    if (inet_pton(AF_INET6, literal, &six->sin6_addr) != 1) {
        return -EINVAL;
    }
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    address->len = sizeof(*six);
    return 0;
}

int socket_address_of_path(struct socket_address *address, const char *path)
{
    *address = (struct socket_address){0};
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    if (strlen(path) >= sizeof(un->sun_path)) {
        return -ENAMETOOLONG;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path) + 1);
    address->len = sizeof(*un);
    return 0;
}

void socket_address_of_ip(struct socket_address *address, const unsigned char *ip, bool is_four,
                          uint16_t port)
{
    *address = (struct socket_address){0};
    struct sockaddr_in *four = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->storage;
    if (is_four) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        memcpy(&four->sin_addr, ip + sizeof(six->sin6_addr) - sizeof(four->sin_addr),
               sizeof(four->sin_addr));
        address->len = sizeof(*four);
    } else {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        memcpy(&six->sin6_addr, ip, sizeof(six->sin6_addr));
        address->len = sizeof(*six);
    }
}

uint16_t socket_address_port(const struct socket_address *address)
{
    switch (address->storage.ss_family) {
    case AF_INET:
        return ntohs(ip4(address)->sin_port);
    case AF_INET6:
        return ntohs(ip6(address)->sin6_port);
    default:
        return 0;
    }
}

const char *socket_address_path(const struct socket_address *address)
{
    DCHECK(address->storage.ss_family == AF_UNIX);
    return ((const struct sockaddr_un *)&address->storage)->sun_path;
}

size_t socket_address_host(const struct socket_address *address, char *out, size_t size)
{
    out[0] = '\0';
    if (address->storage.ss_family == AF_INET) {
        return write_ip4(ip4(address)->sin_addr, out, size);
    } else if (address->storage.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &ip6(address)->sin6_addr, out, (socklen_t)size);
    } else {
        snprintf(out, size, "unix");
    }
    return strnlen(out, size);
}

void socket_address_url(const struct socket_address *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    if (address->storage.ss_family == AF_UNIX) {
        const char *path = socket_address_path(address);
        int path_max = (int)(address->len - offsetof(struct sockaddr_un, sun_path));
        bool is_abstract = path_max > 0 && *path == '\0';
        snprintf(out, size, is_abstract ? "unix:@%.*s" : "unix:%.*s", path_max - is_abstract,
                 path + is_abstract);
        return;
    }
    (void)socket_address_host(address, host, sizeof(host));
    snprintf(out, size, address->storage.ss_family == AF_INET6 ? "http://[%s]:%u" : "http://%s:%u",
             host, socket_address_port(address));
}

struct peer peer_of(const struct socket_address *address)
{
    struct peer peer = {0};
    if (address->storage.ss_family == AF_INET) {
        uintptr_t ip = ip4(address)->sin_addr.s_addr;
        peer._bits = ip << PEER_IP4_SHIFT | PEER_IS_IP4;
    } else if (address->storage.ss_family == AF_INET6) {
        struct in6_addr *ip = slab_new(struct in6_addr);
        *ip = ip6(address)->sin6_addr;
        peer._ip6 = ip;
    }
    return peer;
}

void peer_free(struct peer peer)
{
    if ((peer._bits & PEER_IS_IP4) == 0) {
        slab_free(peer._ip6);
    }
}

size_t peer_host(struct peer peer, char *out, size_t size)
{
    if (peer._bits & PEER_IS_IP4) {
        struct in_addr ip = {.s_addr = (in_addr_t)(peer._bits >> PEER_IP4_SHIFT)};
        return write_ip4(ip, out, size);
    }
    if (peer._bits == 0) {
        return (size_t)snprintf(out, size, "unix");
    }
    const char *text = inet_ntop(AF_INET6, peer._ip6, out, (socklen_t)size);
    return text == NULL ? 0 : strlen(text);
}

/// Does what inet_ntop(3) does. Every line of the access log has an address, and inet_ntop goes
/// through a format string, which takes several times as long.
static size_t write_ip4(struct in_addr ip, char *out, size_t size)
{
    const unsigned char *parts = (const unsigned char *)&ip.s_addr;
    char text[4 * DECIMAL_LEN_MAX];
    size_t len = 0;
    for (int i = 0; i < 4; i++) {
        len += decimal_write(parts[i], text + len);
        text[len++] = i < 3 ? '.' : '\0';
    }
    CHECK(len <= size); // callers have room for an IPv6 address
    memcpy(out, text, len);
    return len - 1;
}

static const struct sockaddr_in *ip4(const struct socket_address *address)
{
    return (const struct sockaddr_in *)&address->storage;
}

static const struct sockaddr_in6 *ip6(const struct socket_address *address)
{
    return (const struct sockaddr_in6 *)&address->storage;
}
