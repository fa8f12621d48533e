// SPDX-License-Identifier: MIT
//
// Events move from the kernel's set through `_found`, a batch at a time, to the sockets' owners.
// The order of a turn is: `poller_wait` fills the batch, `poller_tell` empties it, and
// `poller_tell_closed` gives closed sockets back to their owners. An event names its socket by
// address, so the address must be good for as long as a batch may hold it. Three things could break
// that, and each has its rule:
//
// - A callback closes a socket whose event comes later in the same batch. The struct stays until
//   the end of the turn, and the state CLOSING makes the event void.
// - A descriptor number is used again within the turn, for a socket that was just accepted. Events
//   never name descriptors, so the old socket's event cannot reach the new one.
// - A child process between fork and exec holds the socket as well. The kernel removes a socket
//   from an epoll set only when nobody has it open any more, so the set would go on to report a
//   freed address. The socket is therefore removed explicitly, before its descriptor is closed.
#include "net/poller.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

enum { OWNED_MAX = 1024 * 1024, WORD_BITS = 64 };

/// A bit for each descriptor that a poller has. Numbers beyond are not noted; a system whose
/// ceiling (`fs.nr_open`) was not raised has none. Pages that no number has reached take no memory.
static atomic_uint_fast64_t owned[OWNED_MAX / WORD_BITS];

static void note_owned(int fd, bool is_owned);
static bool tell(struct poller *poller, struct epoll_event event);
static void tell_ready(struct poller *poller, struct polled *polled, unsigned events);
static int watch(struct poller *poller, struct polled *polled, unsigned events);
static unsigned events_of(uint32_t found);

int poller_init(struct poller *poller, int guest)
{
    *poller = (struct poller){._set = epoll_create1(EPOLL_CLOEXEC)};
    if (poller->_set < 0) {
        return -errno;
    }
    owner_take(&poller->_owner);
    struct epoll_event readable = {.events = EPOLLIN, .data.ptr = NULL};
    if (guest >= 0 && epoll_ctl(poller->_set, EPOLL_CTL_ADD, guest, &readable) != 0) {
        int failure = -errno;
        close(poller->_set);
        return failure;
    }
    return 0;
}

void poller_deinit(struct poller *poller)
{
    OWNED(&poller->_owner);
    close(poller->_set);
}

/// A wait that a signal interrupts counts as one that found no event.
bool poller_wait(struct poller *poller, int timeout_ms)
{
    OWNED(&poller->_owner);
    DCHECK(poller->_found_count == 0); // the batch before was told
    DEBUG_CALL(poller_check(poller));
    int count = epoll_wait(poller->_set, poller->_found, POLLER_BATCH, timeout_ms);
    DCHECK(count >= 0 || errno == EINTR);
    poller->_found_count = count > 0 ? count : 0;
    return count > 0;
}

bool poller_tell(struct poller *poller)
{
    bool is_guest_ready = false;
    for (int i = 0; i < poller->_found_count; i++) {
        is_guest_ready = tell(poller, poller->_found[i]) || is_guest_ready;
    }
    poller->_found_count = 0;
    return is_guest_ready;
}

/// The kernel reports a socket a second time only after all others that are ready. So the number of
/// rounds in which each has its turn is bounded, however busy some of them are.
void poller_catch_up(struct poller *poller)
{
    size_t rounds = poller->count / POLLER_BATCH + 1;
    bool is_full;
    do {
        poller_wait(poller, 0);
        is_full = poller->_found_count == POLLER_BATCH;
        IGNORE(poller_tell(poller)); // the guest stays ready, and the next wait says so again
    } while (is_full && --rounds > 0);
}

/// Goes on until no socket is left, because a callback may close more sockets.
void poller_tell_closed(struct poller *poller)
{
    OWNED(&poller->_owner);
    DCHECK(poller->_found_count == 0); // no event names a socket any more
    while (poller->_closing != NULL) {
        struct polled *polled = poller->_closing;
        poller->_closing = polled->_next_closing;
        poller->count--;
        polled->_state = POLLED_CLOSED;
        polled->on_closed(polled);
    }
    DEBUG_CALL(poller_check(poller));
}

void polled_open(struct poller *poller, struct polled *polled)
{
    OWNED(&poller->_owner);
    DCHECK(polled->_state == POLLED_NEW && polled->wanted == 0 && polled->_watched == 0);
    DCHECK(polled->fd >= 0);
    poller->count++;
    polled->_state = POLLED_OPEN;
    note_owned(polled->fd, true);
    DEBUG_CALL(polled_check(polled));
}

bool poller_owns(int fd)
{
    size_t bit = (size_t)fd;
    return fd >= 0 && fd < OWNED_MAX &&
           (atomic_load_explicit(&owned[bit / WORD_BITS], memory_order_relaxed) >>
                (bit % WORD_BITS) &
            1) != 0;
}

int polled_want(struct poller *poller, struct polled *polled, unsigned events)
{
    OWNED(&poller->_owner);
    DCHECK((events & ~(unsigned)(POLL_READ | POLL_WRITE)) == 0);
    if (polled_is_closing(polled)) {
        return 0;
    }
    bool is_more = (events & ~(unsigned)polled->_watched) != 0;
    int failure = is_more ? watch(poller, polled, events) : 0;
    if (failure == 0) {
        polled->wanted = (uint8_t)events;
    }
    DEBUG_CALL(polled_check(polled));
    return failure;
}

void polled_close(struct poller *poller, struct polled *polled)
{
    OWNED(&poller->_owner);
    DCHECK(polled->_state != POLLED_NEW);
    if (polled_is_closing(polled)) {
        return;
    }
    if (polled->_state == POLLED_WATCHED) {
        CHECK(epoll_ctl(poller->_set, EPOLL_CTL_DEL, polled->fd, NULL) == 0);
    }
    note_owned(polled->fd, false); // before the close: after it, another thread may have the number
    close(polled->fd);
    polled->fd = -1; // the number may be another socket's from now on
    polled->_state = POLLED_CLOSING;
    polled->_next_closing = poller->_closing;
    poller->_closing = polled;
    DEBUG_CALL(polled_check(polled));
}

void poller_check(const struct poller *poller)
{
    size_t count = 0;
    for (const struct polled *each = poller->_closing; each != NULL; each = each->_next_closing) {
        CHECK(each->_state == POLLED_CLOSING);
        polled_check(each);
        count++;
        CHECK(count <= poller->count);
    }
    CHECK(poller->_set >= 0);
    CHECK(poller->_found_count >= 0 && poller->_found_count <= POLLER_BATCH);
}

void polled_check(const struct polled *polled)
{
    CHECK(polled->_state > POLLED_NEW && polled->_state <= POLLED_CLOSED);
    CHECK(polled->on_ready != NULL && polled->on_closed != NULL);
    CHECK(polled_is_closing(polled) == (polled->fd < 0));
    if (polled->_state == POLLED_OPEN) {
        CHECK(polled->wanted == 0 && polled->_watched == 0);
    } else if (polled->_state == POLLED_WATCHED) {
        CHECK((polled->wanted & ~polled->_watched) == 0);
    }
}

static void note_owned(int fd, bool is_owned)
{
    size_t bit = (size_t)fd;
    if (fd < OWNED_MAX && is_owned) {
        atomic_fetch_or_explicit(&owned[bit / WORD_BITS], UINT64_C(1) << bit % WORD_BITS,
                                 memory_order_relaxed);
    } else if (fd < OWNED_MAX) {
        atomic_fetch_and_explicit(&owned[bit / WORD_BITS], ~(UINT64_C(1) << bit % WORD_BITS),
                                  memory_order_relaxed);
    }
}

/// Returns whether it was the guest's event.
static bool tell(struct poller *poller, struct epoll_event event)
{
    struct polled *polled = event.data.ptr;
    if (polled == NULL) {
        return true;
    }
    DCHECK(polled->_state == POLLED_WATCHED || polled->_state == POLLED_CLOSING);
    if (polled->_state == POLLED_WATCHED) {
        tell_ready(poller, polled, events_of(event.events));
    }
    return false;
}

/// Tells the kernel not to watch for events that are no longer wanted, because they would end every
/// wait at once.
static void tell_ready(struct poller *poller, struct polled *polled, unsigned events)
{
    unsigned told = events & (polled->wanted | POLL_FAILED);
    if (told != 0) {
        polled->on_ready(polled, told);
    } else {
        IGNORE(watch(poller, polled, polled->wanted));
    }
}

static int watch(struct poller *poller, struct polled *polled, unsigned events)
{
    struct epoll_event wanted = {.data.ptr = polled};
    wanted.events |= events & POLL_READ ? EPOLLIN : 0;
    wanted.events |= events & POLL_WRITE ? EPOLLOUT : 0;
    int how = polled->_state == POLLED_WATCHED ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(poller->_set, how, polled->fd, &wanted) != 0) {
        return -errno;
    }
    polled->_state = POLLED_WATCHED;
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
