// SPDX-License-Identifier: MIT
#include "upstream/resolve.h"

#include "base/error.h"
#include "base/mem.h"
#include "upstream/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 64 }; // of an address or a port as text

static void on_answer(struct name_query *query, int failure, const struct socket_address *addresses,
                      size_t count);
static void keep(struct resolve *resolve, const struct socket_address *addresses, size_t count);
static struct socket_address *next_of(const struct resolve *resolve, sa_family_t without);
static bool append_address(struct buf *entry, struct socket_address *address, char before);

int resolve_start(struct resolve *resolve, struct mailbox *mailbox, const char *host)
{
    DCHECK(resolve->on_found != NULL && resolve->_addresses == NULL);
    resolve->query.on_answer = on_answer;
    return name_query_start(&resolve->query, mailbox, host);
}

void resolve_stop(struct resolve *resolve)
{
    name_query_cancel(&resolve->query);
    mem_free(resolve->_addresses);
    resolve->_addresses = NULL;
    resolve->_count = 0;
}

bool resolve_has_more(const struct resolve *resolve)
{
    return next_of(resolve, AF_UNSPEC) != NULL;
}

/// "+host:port:address,address". With the plus the entry grows old, and leaves curl's table.
int resolve_take_round(struct resolve *resolve, const char *host, uint16_t port, struct buf *entry)
{
    char text[PIECE_BYTES];
    struct socket_address *first = next_of(resolve, AF_UNSPEC);
    DCHECK(first != NULL);
    struct socket_address *other = next_of(resolve, first->storage.ss_family);
    int len = snprintf(text, sizeof(text), ":%u", port);
    bool is_whole =
        buf_append(entry, BYTES("+")) && buf_append(entry, bytes_from_string(host)) &&
        buf_append(entry, bytes_of(text, (size_t)len)) && append_address(entry, first, ':') &&
        (other == NULL || append_address(entry, other, ',')) && buf_append(entry, bytes_of("", 1));
    return is_whole ? 0 : -ENOMEM;
}

static void on_answer(struct name_query *query, int failure, const struct socket_address *addresses,
                      size_t count)
{
    struct resolve *resolve = CONTAINER_OF(query, struct resolve, query);
    DCHECK(failure != 0 || count > 0);
    if (failure == 0) {
        keep(resolve, addresses, count);
        failure = resolve->_count == 0 ? UPSTREAM_NOT_PUBLIC : 0;
    }
    resolve->on_found(resolve, failure);
}

static void keep(struct resolve *resolve, const struct socket_address *addresses, size_t count)
{
    resolve->_addresses = mem_alloc(count * sizeof(struct socket_address));
    for (size_t i = 0; i < count; i++) {
        if (!resolve->is_public ||
            upstream_address_is_public((const struct sockaddr *)&addresses[i].storage)) {
            resolve->_addresses[resolve->_count++] = addresses[i];
        }
    }
}

/// The first address that was not tried, and is not of the family `without`.
static struct socket_address *next_of(const struct resolve *resolve, sa_family_t without)
{
    for (size_t i = 0; i < resolve->_count; i++) {
        sa_family_t family = resolve->_addresses[i].storage.ss_family;
        if (family != AF_UNSPEC && family != without) {
            return &resolve->_addresses[i];
        }
    }
    return NULL;
}

static bool append_address(struct buf *entry, struct socket_address *address, char before)
{
    char host[PIECE_BYTES];
    char text[PIECE_BYTES + 3];
    bool is_6 = address->storage.ss_family == AF_INET6;
    (void)socket_address_host(address, host, sizeof(host));
    int len = snprintf(text, sizeof(text), is_6 ? "%c[%s]" : "%c%s", before, host);
    address->storage.ss_family = AF_UNSPEC;
    return buf_append(entry, bytes_of(text, (size_t)len));
}
