// SPDX-License-Identifier: MIT
#include "net/loop.h"
#include "net/mailbox.h"
#include "net/timer.h"
#include "unit.h"

#include <sys/socket.h>
#include <unistd.h>

/// The calls that a loop has made, one letter for each.
static char seen[16];
static struct loop the_loop;
static struct loop_job again;
static struct polled closed_late;

static void note(char what);
static void begin(void);
static void end(void);
static void on_timer(struct timer *timer);
static void on_ready(struct polled *polled, unsigned events);
static void on_closed(struct polled *polled);
static void on_job(struct loop_job *job);
static void on_message(struct mailbox_message *message);
static void on_turn_end(void *arg);
static int open_readable(struct polled *polled);

/// With a timer of ours alone, libuv has no active handle. The loop must not take that for its end.
TEST(loop_runs_on_a_timer_alone)
{
    struct timer timer;
    begin();
    timer_init(&timer, &the_loop.timers, on_timer);
    timer_arm(&timer, 1);
    loop_run(&the_loop);
    timer_deinit(&timer);
    end();
    EXPECT_BYTES(bytes_from_string(seen), BYTES("t"));
}

/// After a pause, a peer whose bytes have come is not timed out.
TEST(loop_reads_sockets_before_timers_fire)
{
    struct timer timer;
    struct polled polled;
    begin();
    int other = open_readable(&polled);
    timer_init(&timer, &the_loop.timers, on_timer);
    timer_arm(&timer, 1000);
    loop_advance(&the_loop, 5000);
    loop_turn(&the_loop);
    timer_deinit(&timer);
    polled_close(&the_loop.poller, &polled);
    close(other);
    end();
    EXPECT_BYTES(bytes_from_string(seen), BYTES("rtc"));
}

TEST(loop_runs_messages_in_the_turn_that_they_wake)
{
    struct mailbox mailbox;
    struct mailbox_message message = {.run = on_message};
    begin();
    mailbox_open(&mailbox, &the_loop);
    loop_turn(&the_loop);
    bool is_posted = mailbox_post(&mailbox, &message);
    loop_run(&the_loop);
    mailbox_close(&mailbox);
    end();
    mailbox_deinit(&mailbox);
    EXPECT(is_posted);
    EXPECT_BYTES(bytes_from_string(seen), BYTES("m"));
}

/// Two things that the end of a turn may leave: a job for the next, and a socket that was closed
/// after all sockets were told. With either the loop does not wait.
TEST(loop_does_not_wait_while_something_is_left_to_do)
{
    begin();
    int other = open_readable(&closed_late);
    IGNORE(polled_want(&the_loop.poller, &closed_late, 0));
    loop_job_init(&again, on_job);
    loop_at_turn_end(&the_loop, LOOP_RUN, &again);
    the_loop.on_turn_end = on_turn_end;
    loop_run(&the_loop);
    the_loop.on_turn_end = NULL;
    close(other);
    end();
    EXPECT_BYTES(bytes_from_string(seen), BYTES("jjjc"));
}

static void note(char what)
{
    size_t len = strlen(seen);
    CHECK(len + 1 < sizeof(seen));
    seen[len] = what;
}

static void begin(void)
{
    memset(seen, 0, sizeof(seen));
    EXPECT_INT(loop_init(&the_loop), 0);
}

static void end(void)
{
    EXPECT_INT(loop_close(&the_loop, 1000), 0);
    loop_deinit(&the_loop);
}

static void on_timer(struct timer *timer)
{
    (void)timer;
    note('t');
    loop_stop(&the_loop);
}

static void on_ready(struct polled *polled, unsigned events)
{
    (void)events;
    note('r');
    IGNORE(polled_want(&the_loop.poller, polled, 0));
}

static void on_closed(struct polled *polled)
{
    note('c');
    if (polled == &closed_late) {
        loop_stop(&the_loop);
    }
}

static void on_job(struct loop_job *job)
{
    note('j');
    if (strlen(seen) < 3) {
        loop_at_turn_end(&the_loop, LOOP_RUN, job);
    }
}

static void on_message(struct mailbox_message *message)
{
    (void)message;
    note('m');
    loop_stop(&the_loop);
}

static void on_turn_end(void *arg)
{
    (void)arg;
    if (strlen(seen) == 3) {
        polled_close(&the_loop.poller, &closed_late);
    }
}

/// Returns the other end.
static int open_readable(struct polled *polled)
{
    int pair[2];
    EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    *polled = (struct polled){.on_ready = on_ready, .on_closed = on_closed, .fd = pair[0]};
    polled_open(&the_loop.poller, polled);
    EXPECT_INT(polled_want(&the_loop.poller, polled, POLL_READ), 0);
    EXPECT_INT(write(pair[1], "x", 1), 1);
    return pair[1];
}
