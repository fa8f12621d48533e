// SPDX-License-Identifier: MIT
#include "net/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BATCH = 256 };

static void on_set_ready(uv_poll_t *handle, int failure, int events);
static int tell_batch(struct poller *poller);
static void tell_ready(struct poller *poller, struct polled *polled, unsigned events);
static int watch(struct poller *poller, struct polled *polled, unsigned events);
static unsigned events_of(uint32_t found);
static void on_set_closed(uv_handle_t *handle);

int poller_init(struct poller *poller, uv_loop_t *loop)
{
    *poller = (struct poller){._set = epoll_create1(EPOLL_CLOEXEC)};
    if (poller->_set < 0) {
        return -errno;
    }
    int failure = uv_poll_init(loop, &poller->_handle, poller->_set);
    if (failure != 0) {
        close(poller->_set);
        return failure;
    }
    return uv_poll_start(&poller->_handle, UV_READABLE, on_set_ready);
}

void poller_close(struct poller *poller)
{
    uv_close((uv_handle_t *)&poller->_handle, on_set_closed);
}

/// The set names a socket that it has named again only after all others, so the rounds are as many
/// as it takes to come to each: who always has something to say does not hold this up.
void poller_catch_up(struct poller *poller)
{
    size_t rounds = poller->count / BATCH + 1;
    while (rounds-- > 0 && tell_batch(poller) == BATCH) {
    }
}

/// Telling may close more of them.
void poller_tell_closed(struct poller *poller)
{
    while (poller->_closed != NULL) {
        struct polled *polled = poller->_closed;
        poller->_closed = polled->_next_closed;
        poller->count--;
        polled->on_closed(polled);
    }
}

void polled_open(struct poller *poller, struct polled *polled)
{
    DCHECK(!polled->_is_in_set && polled->wanted == 0);
    poller->count++;
    (void)polled;
}

int polled_want(struct poller *poller, struct polled *polled, unsigned events)
{
    bool is_more = (events & ~(unsigned)polled->_watched) != 0;
    int failure = is_more && !polled->is_closing ? watch(poller, polled, events) : 0;
    if (failure == 0) {
        polled->wanted = (uint8_t)events;
    }
    return failure;
}

/// The socket is taken out of the set first. The kernel would do so by itself only when the last
/// descriptor of the socket is closed, and a child process that stands between fork and exec has
/// one too: the set would go on to report `polled` after it was freed.
void polled_close(struct poller *poller, struct polled *polled)
{
    if (polled->is_closing) {
        return;
    }
    polled->is_closing = true;
    if (polled->_is_in_set) {
        CHECK(epoll_ctl(poller->_set, EPOLL_CTL_DEL, polled->fd, NULL) == 0);
    }
    close(polled->fd);
    polled->_next_closed = poller->_closed;
    poller->_closed = polled;
}

/// Not more than a batch: what is left comes up again.
static void on_set_ready(uv_poll_t *handle, int failure, int events)
{
    (void)failure; // an epoll set has no error of its own
    (void)events;
    IGNORE(tell_batch(CONTAINER_OF(handle, struct poller, _handle)));
}

/// Returns how many were ready. One that is closed by another's callback stays in memory until the
/// turn ends.
static int tell_batch(struct poller *poller)
{
    struct epoll_event found[BATCH];
    int count = epoll_wait(poller->_set, found, BATCH, 0);
    for (int i = 0; i < count; i++) {
        struct polled *polled = found[i].data.ptr;
        if (!polled->is_closing) {
            tell_ready(poller, polled, events_of(found[i].events));
        }
    }
    return count;
}

static void tell_ready(struct poller *poller, struct polled *polled, unsigned events)
{
    unsigned told = events & (polled->wanted | POLL_FAILED);
    if (told != 0) {
        polled->on_ready(polled, told);
    } else {
        IGNORE(watch(poller, polled, polled->wanted)); // it would come up again and again
    }
}

static int watch(struct poller *poller, struct polled *polled, unsigned events)
{
    struct epoll_event wanted = {.data.ptr = polled};
    wanted.events |= events & POLL_READ ? EPOLLIN : 0;
    wanted.events |= events & POLL_WRITE ? EPOLLOUT : 0;
    int how = polled->_is_in_set ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(poller->_set, how, polled->fd, &wanted) != 0) {
        return -errno;
    }
    polled->_is_in_set = true;
    polled->_watched = (uint8_t)events;
    return 0;
}

static unsigned events_of(uint32_t found)
{
    unsigned events = 0;
    events |= found & EPOLLIN ? POLL_READ : 0;
    events |= found & EPOLLOUT ? POLL_WRITE : 0;
    events |= found & (EPOLLERR | EPOLLHUP) ? POLL_FAILED : 0;
    return events;
}

static void on_set_closed(uv_handle_t *handle)
{
    close(CONTAINER_OF(handle, struct poller, _handle)->_set);
}
