// SPDX-License-Identifier: MIT
#include "sockets.h"

#include "base/mem.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STEPS_IN_CALLBACK = 3,
    NOBODY = -1,
    PIECE_BYTES = 4096,
};

struct socket {
    struct polled polled;
    struct sockets *sockets;
    int peer;      // the other end, or NOBODY
    int holder;    // a child's descriptor of the same socket, or NOBODY
    unsigned told; // since `sockets_tell_exactly` began
};

static void touch_held(struct sockets *sockets, uint64_t what);
static void open_one(struct sockets *sockets, struct socket **place, int number);
static void take_number(int *fd, int number);
static void close_one(struct sockets *sockets, struct socket **place);
static void want(struct sockets *sockets, struct socket *socket);
static void fill(int fd);
static void drain(int fd);
static void give_up(int *fd);
static void let_go(struct held *held);
static void on_ready(struct polled *polled, unsigned events);
static void on_closed(struct polled *polled);
static void act_in_callback(struct sockets *sockets);
static unsigned expected(const struct socket *socket);
static size_t open_count(const struct sockets *sockets);
static void check(const struct sockets *sockets);

void sockets_init(struct sockets *sockets, struct poller *poller,
                  uint64_t (*choose)(void *chooser, uint64_t count), void *chooser)
{
    *sockets = (struct sockets){.poller = poller, .choose = choose, .chooser = chooser};
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        sockets->held[i] = (struct held){.fd = NOBODY, .peer = NOBODY};
    }
}

void sockets_deinit(struct sockets *sockets)
{
    CHECK(sockets->closing_count == 0);
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        CHECK(sockets->open[i] == NULL);
        let_go(&sockets->held[i]);
    }
}

void sockets_step(struct sockets *sockets)
{
    struct socket **place = &sockets->open[sockets->choose(sockets->chooser, SOCKETS_MAX)];
    struct socket *socket = *place;
    uint64_t what = sockets->choose(sockets->chooser, 12);
    touch_held(sockets, what);
    if (socket == NULL) {
        open_one(sockets, place, 0);
        return;
    }
    int number = socket->polled.fd;
    switch (what) {
    case 0:
        close_one(sockets, place);
        break;
    case 1:
        close_one(sockets, place);
        open_one(sockets, place, number);
        break;
    case 2:
        give_up(&socket->peer);
        break;
    case 3:
        if (socket->holder == NOBODY) {
            socket->holder = fcntl(socket->polled.fd, F_DUPFD_CLOEXEC, 0);
            CHECK(socket->holder >= 0);
        }
        break;
    case 4:
        give_up(&socket->holder);
        break;
    case 5:
        fill(socket->polled.fd);
        break;
    case 6:
        drain(socket->peer);
        break;
    case 7:
        drain(socket->polled.fd);
        break;
    case 8:
    case 9:
        if (socket->peer != NOBODY) {
            IGNORE(send(socket->peer, "x", 1, MSG_NOSIGNAL)); // it may be full
        }
        break;
    default:
        want(sockets, socket);
    }
}

bool sockets_tell(struct sockets *sockets)
{
    poller_wait(sockets->poller, 0);
    sockets->is_telling = true;
    bool is_guest_ready = poller_tell(sockets->poller);
    if (!sockets->is_quiet && sockets->choose(sockets->chooser, 4) == 0) {
        poller_catch_up(sockets->poller);
    }
    sockets->is_telling = false;
    check(sockets);
    return is_guest_ready;
}

/// The first round reports nothing that is no longer wanted, and makes the poller stop watching for
/// it; only then does the second round wait for exactly what is left.
bool sockets_tell_exactly(struct sockets *sockets)
{
    sockets->is_quiet = true;
    IGNORE(sockets_tell(sockets));
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (sockets->open[i] != NULL) {
            sockets->open[i]->told = 0;
        }
    }
    bool is_guest_ready = sockets_tell(sockets);
    sockets->is_quiet = false;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        const struct socket *socket = sockets->open[i];
        CHECK(socket == NULL || socket->told == expected(socket));
    }
    return is_guest_ready;
}

void sockets_begin_end(struct sockets *sockets)
{
    sockets->is_ending = true;
}

void sockets_end(struct sockets *sockets)
{
    sockets->is_ending = false;
    CHECK(sockets->closing_count == 0 && !poller_has_closing(sockets->poller));
    check(sockets);
}

void sockets_close(struct sockets *sockets)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (sockets->open[i] != NULL) {
            close_one(sockets, &sockets->open[i]);
        }
    }
    sockets->is_quiet = true;
}

/// A child ends, or the peer of a socket that only a child holds says something more.
static void touch_held(struct sockets *sockets, uint64_t what)
{
    struct held *held = &sockets->held[what % SOCKETS_MAX];
    if (what >= SOCKETS_MAX) {
        let_go(held);
    } else if (held->peer != NOBODY) {
        IGNORE(send(held->peer, "x", 1, MSG_NOSIGNAL)); // it may be full
    }
}

/// Opens the socket under descriptor `number`, if that is not 0 and is free.
static void open_one(struct sockets *sockets, struct socket **place, int number)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    if (number != 0) {
        take_number(&pair[0], number);
    }
    struct socket *socket = mem_new(struct socket);
    *socket = (struct socket){.sockets = sockets, .peer = pair[1], .holder = NOBODY};
    socket->polled = (struct polled){.on_ready = on_ready, .on_closed = on_closed, .fd = pair[0]};
    polled_open(sockets->poller, &socket->polled);
    *place = socket;
    want(sockets, socket);
}

static void take_number(int *fd, int number)
{
    int again = fcntl(*fd, F_DUPFD_CLOEXEC, number);
    CHECK(again >= 0);
    close(*fd);
    *fd = again;
}

/// The descriptors of the peer and of the child stay open until the poller has reported the close.
static void close_one(struct sockets *sockets, struct socket **place)
{
    struct socket *socket = *place;
    *place = NULL;
    sockets->closing_count++;
    polled_close(sockets->poller, &socket->polled);
    CHECK(polled_is_closing(&socket->polled));
    polled_close(sockets->poller, &socket->polled);
    polled_check(&socket->polled);
}

static void want(struct sockets *sockets, struct socket *socket)
{
    unsigned events = (unsigned)sockets->choose(sockets->chooser, 4); // POLL_READ, POLL_WRITE
    CHECK(polled_want(sockets->poller, &socket->polled, events) == 0);
}

static void fill(int fd)
{
    static const char piece[PIECE_BYTES];
    while (send(fd, piece, sizeof(piece), MSG_NOSIGNAL) > 0) {
    }
}

static void drain(int fd)
{
    char piece[PIECE_BYTES];
    while (fd != NOBODY && recv(fd, piece, sizeof(piece), 0) > 0) {
    }
}

static void give_up(int *fd)
{
    if (*fd != NOBODY) {
        close(*fd);
        *fd = NOBODY;
    }
}

static void let_go(struct held *held)
{
    give_up(&held->fd);
    give_up(&held->peer);
}

static void on_ready(struct polled *polled, unsigned events)
{
    struct socket *socket = CONTAINER_OF(polled, struct socket, polled);
    struct sockets *sockets = socket->sockets;
    CHECK(sockets->is_telling && !polled_is_closing(polled));
    CHECK(events != 0 && (events & ~(unsigned)(polled->wanted | POLL_FAILED)) == 0);
    socket->told |= events;
    act_in_callback(sockets);
}

/// A child's descriptor stays open after the memory of the socket is freed.
static void on_closed(struct polled *polled)
{
    struct socket *socket = CONTAINER_OF(polled, struct socket, polled);
    struct sockets *sockets = socket->sockets;
    CHECK(sockets->is_ending && sockets->closing_count > 0);
    sockets->closing_count--;
    act_in_callback(sockets);
    struct held *held = &sockets->held[sockets->choose(sockets->chooser, SOCKETS_MAX)];
    let_go(held);
    *held = (struct held){.fd = socket->holder, .peer = socket->peer};
    memset(socket, 0xff, sizeof(*socket));
    mem_free(socket);
}

static void act_in_callback(struct sockets *sockets)
{
    if (!sockets->is_quiet) {
        for (uint64_t left = sockets->choose(sockets->chooser, STEPS_IN_CALLBACK); left > 0;
             left--) {
            sockets_step(sockets);
        }
    }
}

static unsigned expected(const struct socket *socket)
{
    struct pollfd asked = {.fd = socket->polled.fd, .events = POLLIN | POLLOUT};
    CHECK(poll(&asked, 1, 0) >= 0);
    unsigned events = 0;
    events |= asked.revents & POLLIN ? POLL_READ : 0;
    events |= asked.revents & POLLOUT ? POLL_WRITE : 0;
    events &= socket->polled.wanted;
    // Until an event is wanted, the kernel does not know the socket.
    bool is_known = socket->polled._state == POLLED_WATCHED;
    events |= is_known && (asked.revents & (POLLERR | POLLHUP)) ? POLL_FAILED : 0;
    return events;
}

static size_t open_count(const struct sockets *sockets)
{
    size_t count = 0;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        count += sockets->open[i] != NULL;
    }
    return count;
}

static void check(const struct sockets *sockets)
{
    poller_check(sockets->poller);
    CHECK(sockets->poller->count == open_count(sockets) + sockets->closing_count);
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (sockets->open[i] != NULL) {
            polled_check(&sockets->open[i]->polled);
        }
    }
}
