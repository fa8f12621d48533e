// SPDX-License-Identifier: MIT
#include "kit/stand_ins.h"

#include "base/environment.h"
#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 }; // connections that the spec has not taken

/// Somebody who stands in for a host.
struct stand_in {
    struct list node;
    char *host;
    int failure;
    int fd; // of the socket that listens
    struct sockaddr_un address;
};

static struct stand_in *find(struct stand_ins *stand_ins, const char *host);
static int add(struct stand_ins *stand_ins, const char *host, struct stand_in **added);
static int listen_on(struct stand_in *stand_in);
static void stand_in_free(struct stand_in *stand_in);

void stand_ins_init(struct stand_ins *stand_ins)
{
    list_init(&stand_ins->_hosts);
}

void stand_ins_deinit(struct stand_ins *stand_ins)
{
    while (!list_is_empty(&stand_ins->_hosts)) {
        struct stand_in *stand_in = LIST_ITEM(stand_ins->_hosts.next, struct stand_in, node);
        DCHECK(stand_in->fd >= 0);
        list_remove(&stand_in->node);
        stand_in_free(stand_in);
    }
}

int stand_ins_set(struct stand_ins *stand_ins, const char *host, int failure)
{
    struct stand_in *stand_in = find(stand_ins, host);
    DCHECK(failure <= 0);
    int outcome = stand_in == NULL ? add(stand_ins, host, &stand_in) : 0;
    if (outcome == 0) {
        stand_in->failure = failure;
    }
    return outcome;
}

int stand_ins_find(void *user, const char *host, const char **name)
{
    const struct stand_in *stand_in = find(user, host);
    DCHECK(environment_is_still(environment_here));
    if (stand_in == NULL || stand_in->failure != 0) {
        return stand_in == NULL ? UPSTREAM_IN_KIT : stand_in->failure;
    }
    *name = stand_in->address.sun_path + 1;
    return 0;
}

int stand_ins_take(struct stand_ins *stand_ins, const char **host)
{
    LIST_EACH (node, after, &stand_ins->_hosts) {
        const struct stand_in *stand_in = LIST_ITEM(node, struct stand_in, node);
        int fd = accept4(stand_in->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            *host = stand_in->host;
            return fd;
        }
    }
    return -EAGAIN;
}

static struct stand_in *find(struct stand_ins *stand_ins, const char *host)
{
    LIST_EACH (node, after, &stand_ins->_hosts) {
        struct stand_in *stand_in = LIST_ITEM(node, struct stand_in, node);
        if (strcasecmp(stand_in->host, host) == 0) {
            return stand_in;
        }
    }
    return NULL;
}

static int add(struct stand_ins *stand_ins, const char *host, struct stand_in **added)
{
    struct stand_in *stand_in = mem_new(struct stand_in);
    *stand_in = (struct stand_in){0};
    list_init(&stand_in->node);
    stand_in->host = mem_string(bytes_from_string(host));
    int failure = listen_on(stand_in);
    if (failure != 0) {
        stand_in_free(stand_in);
        return failure;
    }
    list_append(&stand_ins->_hosts, &stand_in->node);
    *added = stand_in;
    return 0;
}

/// The kernel chooses a name that nobody has, in five letters (unix(7), "Autobind feature").
static int listen_on(struct stand_in *stand_in)
{
    struct sockaddr *address = (struct sockaddr *)&stand_in->address;
    socklen_t len = sizeof(stand_in->address);
    stand_in->address.sun_family = AF_UNIX;
    stand_in->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stand_in->fd < 0 || bind(stand_in->fd, address, sizeof(sa_family_t)) != 0 ||
        listen(stand_in->fd, BACKLOG) != 0 || getsockname(stand_in->fd, address, &len) != 0) {
        return -errno;
    }
    DCHECK(stand_in->address.sun_path[0] == '\0' && stand_in->address.sun_path[1] != '\0');
    return 0;
}

static void stand_in_free(struct stand_in *stand_in)
{
    if (stand_in->fd >= 0) {
        close(stand_in->fd);
    }
    mem_free(stand_in->host);
    mem_free(stand_in);
}
