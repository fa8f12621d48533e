// SPDX-License-Identifier: MIT
#include "net/loop.h"
#include "net/poller.h"
#include "unit.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int closed_count;
static int late_count;

static void on_ready(struct polled *polled, unsigned events);
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
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    // The memory is another's now.
    polled = (struct polled){.on_ready = on_late, .wanted = POLL_READ};
    ssize_t written = write(other, "x", 1);
    for (int i = 0; i < 3; i++) {
        uv_run(&loop.uv, UV_RUN_NOWAIT);
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
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    close(other);
    end_loop(&loop);
    EXPECT_INT(closed_count, 1);
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
