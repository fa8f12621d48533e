// SPDX-License-Identifier: MIT
//
// The kernel keeps an entry of an epoll set until the last descriptor of its file is closed, not
// until the one is closed that the entry was made with. With a foreign descriptor that leaves two
// faults: the entry cannot be removed once its descriptor is closed, and then the set reports a
// freed address; or the number stands for another file by then, whose entry is removed. A copy of
// our own has neither.
#include "net/fd_watch.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static void on_polled(struct polled *polled, unsigned events);
static void on_closed(struct polled *polled);

/// The copy is made above the standard descriptors, so that a program which has closed those does
/// not print into a stranger's file.
int fd_watch_new(struct poller *poller, int fd, unsigned events, struct fd_watch **watch)
{
    DCHECK(events != 0);
    if (poller_owns(fd)) {
        return -EACCES;
    }
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0) {
        return -errno;
    }
    struct fd_watch *made = mem_new(struct fd_watch);
    made->_poller = poller;
    made->_polled.fd = copy;
    made->_polled.on_ready = on_polled;
    made->_polled.on_closed = on_closed;
    polled_open(poller, &made->_polled);
    int failure = polled_want(poller, &made->_polled, events);
    if (failure != 0) {
        fd_watch_free(made);
        return failure;
    }
    *watch = made;
    return 0;
}

unsigned fd_watch_ready_now(const struct fd_watch *watch)
{
    unsigned wanted = watch->_polled.wanted;
    struct pollfd asked = {.fd = watch->_polled.fd};
    asked.events |= (short)(wanted & POLL_READ ? POLLIN : 0);
    asked.events |= (short)(wanted & POLL_WRITE ? POLLOUT : 0);
    if (poll(&asked, 1, 0) <= 0) {
        return 0;
    }
    unsigned ready = asked.revents & POLLIN ? POLL_READ : 0;
    ready |= asked.revents & POLLOUT ? POLL_WRITE : 0;
    return asked.revents & (POLLERR | POLLHUP) ? wanted : ready;
}

void fd_watch_free(struct fd_watch *watch)
{
    polled_close(watch->_poller, &watch->_polled);
}

static void on_polled(struct polled *polled, unsigned events)
{
    struct fd_watch *watch = CONTAINER_OF(polled, struct fd_watch, _polled);
    DCHECK(watch->on_ready != NULL);
    watch->on_ready(watch, events & POLL_FAILED ? polled->wanted : events);
}

static void on_closed(struct polled *polled)
{
    mem_free(CONTAINER_OF(polled, struct fd_watch, _polled));
}
