// SPDX-License-Identifier: MIT
#include "net/loop.h"
#include "net/poller.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int closed_count;
static int late_count;

static struct loop *the_loop;
static struct polled *victim;
static struct polled *successor;

static void on_ready(struct polled *polled, unsigned events);
static void on_ready_close_other(struct polled *polled, unsigned events);
static void open_as(struct loop *loop, struct polled *polled, int number, int *other);
static void on_closed(struct polled *polled);
static void on_late(struct polled *polled, unsigned events);
static void open_pair(struct loop *loop, struct polled *polled, int *other);
static pid_t fork_sleeper(void);
static void end_loop(struct loop *loop);

/// A child between fork and exec holds every socket of its parent. A socket that was closed only in
/// the parent would stay in the epoll set, which would go on to report it by an address that was
/// freed.
TEST(poller_forgets_a_closed_socket_that_a_child_holds)
{
    struct loop loop;
    struct polled polled;
    int other;
    closed_count = 0;
    late_count = 0;
    EXPECT_INT(loop_init(&loop), 0);
    open_pair(&loop, &polled, &other);
    EXPECT_INT(polled_want(&loop.poller, &polled, POLL_READ), 0);
    pid_t child = fork_sleeper();
    polled_close(&loop.poller, &polled);
    loop_turn(&loop);
    // The memory is another's now.
    polled = (struct polled){.on_ready = on_late, .wanted = POLL_READ};
    ssize_t written = write(other, "x", 1);
    for (int i = 0; i < 3; i++) {
        loop_turn(&loop);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(other);
    end_loop(&loop);
    EXPECT_INT(written, 1);
    EXPECT_INT(closed_count, 1);
    EXPECT_INT(late_count, 0);
}

TEST(poller_closes_a_socket_that_was_never_watched)
{
    struct loop loop;
    struct polled polled;
    int other;
    char byte;
    closed_count = 0;
    EXPECT_INT(loop_init(&loop), 0);
    open_pair(&loop, &polled, &other);
    polled_close(&loop.poller, &polled);
    polled_close(&loop.poller, &polled);
    EXPECT_INT(read(other, &byte, 1), 0);
    loop_turn(&loop);
    close(other);
    end_loop(&loop);
    EXPECT_INT(closed_count, 1);
}

/// Two sockets are ready in one batch. The callback of the first closes the second, and a third
/// takes over the descriptor number of the second at once: the event of the second reaches neither.
TEST(poller_tells_no_socket_that_another_closed_in_the_same_batch)
{
    struct loop loop;
    struct polled pair[2];
    struct polled third = {0};
    int others[3];
    closed_count = 0;
    late_count = 0;
    EXPECT_INT(loop_init(&loop), 0);
    for (int i = 0; i < 2; i++) {
        open_pair(&loop, &pair[i], &others[i]);
        pair[i].on_ready = i == 0 ? on_ready_close_other : on_late;
        EXPECT_INT(polled_want(&loop.poller, &pair[i], POLL_READ), 0);
        EXPECT_INT(write(others[i], "x", 1), 1);
    }
    int number = pair[1].fd;
    the_loop = &loop;
    victim = &pair[1];
    successor = &third;
    loop_turn(&loop);
    EXPECT_INT(third.fd, number);
    EXPECT_INT(closed_count, 1);
    polled_close(&loop.poller, &pair[0]);
    polled_close(&loop.poller, &third);
    for (int i = 0; i < 2; i++) {
        close(others[i]);
    }
    end_loop(&loop);
    EXPECT_INT(closed_count, 3);
    EXPECT_INT(late_count, 0);
}

TEST(poller_waits_for_its_guest_too)
{
    static struct poller poller;
    int guest = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    EXPECT_INT(poller_init(&poller, guest), 0);
    poller_wait(&poller, 0);
    EXPECT(!poller_tell(&poller));
    EXPECT_INT(eventfd_write(guest, 1), 0);
    poller_wait(&poller, -1);
    EXPECT(poller_tell(&poller));
    poller_deinit(&poller);
    close(guest);
}

static void on_ready_close_other(struct polled *polled, unsigned events)
{
    static int other;
    (void)events;
    EXPECT_INT(polled_want(&the_loop->poller, polled, 0), 0);
    int number = victim->fd;
    polled_close(&the_loop->poller, victim);
    open_as(the_loop, successor, number, &other);
    close(other);
}

static void on_ready(struct polled *polled, unsigned events)
{
    (void)polled;
    (void)events;
}

static void on_closed(struct polled *polled)
{
    (void)polled;
    closed_count++;
}

static void on_late(struct polled *polled, unsigned events)
{
    (void)polled;
    (void)events;
    late_count++;
}

static void open_pair(struct loop *loop, struct polled *polled, int *other)
{
    int pair[2];
    EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    *polled = (struct polled){.on_ready = on_ready, .on_closed = on_closed, .fd = pair[0]};
    *other = pair[1];
    polled_open(&loop->poller, polled);
}

/// Under a descriptor number that is free.
static void open_as(struct loop *loop, struct polled *polled, int number, int *other)
{
    int pair[2];
    EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    int again = fcntl(pair[0], F_DUPFD_CLOEXEC, number);
    if (pair[0] != number && pair[1] != number) {
        close(pair[0]);
        pair[0] = again;
    } else {
        close(again);
    }
    *other = pair[0] == number ? pair[1] : pair[0];
    *polled = (struct polled){.on_ready = on_late, .on_closed = on_closed, .fd = number};
    polled_open(&loop->poller, polled);
}

static pid_t fork_sleeper(void)
{
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            pause();
        }
    }
    return child;
}

static void end_loop(struct loop *loop)
{
    EXPECT_INT(loop_close(loop, 1000), 0);
    loop_deinit(loop);
}
