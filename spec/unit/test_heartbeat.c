// SPDX-License-Identifier: MIT
// The list in which streams wait for their heartbeats, on a clock that stands still. No loop runs
// here.
#include "unit.h"

#include "base/mem.h"
#include "net/loop.h"
#include "net/timer.h"
#include "sse/heartbeat.h"

#include <string.h>

enum { BEATS = 8 };

struct bench {
    struct loop loop;
    struct heartbeats heartbeats;
    struct heartbeat beats[BEATS];
    char told[64]; // who was due, as digits, in order
};

static struct bench bench; // in which `on_due` notes who was due

static void on_due(struct heartbeat *heartbeat)
{
    size_t len = strlen(bench.told);
    EXPECT(len < sizeof(bench.told) - 1);
    bench.told[len] = (char)('0' + (heartbeat - bench.beats));
}

static void set_up(void)
{
    memset(&bench, 0, sizeof(bench));
    CHECK(loop_init(&bench.loop) == 0);
    heartbeats_init(&bench.heartbeats, &bench.loop, on_due);
}

static void tear_down(void)
{
    for (int i = 0; i < BEATS; i++) {
        heartbeat_stop(&bench.beats[i]);
    }
    heartbeats_deinit(&bench.heartbeats);
    EXPECT_INT(timer_heap_count(&bench.loop.timers), 0); // no timer is left behind
    EXPECT_INT(loop_close(&bench.loop, 0), 0);
    loop_deinit(&bench.loop);
}

static void start(int index, uint64_t interval_ms)
{
    heartbeat_start(&bench.beats[index], &bench.heartbeats, interval_ms);
}

/// Lets `ms` pass and expects `told` to be due, in this order, since the last time.
static void expect_due(uint64_t ms, const char *told)
{
    loop_advance(&bench.loop, ms);
    timer_heap_fire(&bench.loop.timers);
    EXPECT_BYTES(bytes_from_string(bench.told), bytes_from_string(told));
    memset(bench.told, 0, sizeof(bench.told));
}

TEST(a_heartbeat_is_due_after_each_interval_of_silence)
{
    set_up();
    start(0, 100);
    expect_due(99, "");
    expect_due(1, "0");
    expect_due(99, "");
    expect_due(1, "0");
    tear_down();
}

TEST(a_heartbeat_is_put_off_by_what_is_sent)
{
    set_up();
    start(0, 100);
    for (int i = 0; i < 10; i++) {
        expect_due(60, "");
        heartbeat_note(&bench.beats[0]);
    }
    expect_due(99, "");
    expect_due(1, "0");
    tear_down();
}

TEST(heartbeats_are_due_in_the_order_of_their_silence)
{
    set_up();
    for (int i = 0; i < 5; i++) {
        start(i, 100);
        expect_due(10, "");
    }
    heartbeat_note(&bench.beats[1]); // at 50; the others at 0, 20, 30 and 40
    expect_due(50, "0");
    expect_due(30, "23");
    expect_due(10, "4");
    expect_due(10, "1");
    expect_due(100, "02341");
    tear_down();
}

TEST(a_long_pause_makes_each_heartbeat_due_once)
{
    set_up();
    start(0, 100);
    start(1, 100);
    expect_due(100000, "01");
    expect_due(99, "");
    expect_due(1, "01");
    tear_down();
}

TEST(heartbeats_of_other_intervals_do_not_wait_for_each_other)
{
    set_up();
    start(0, 100);
    start(1, 30);
    start(2, 100);
    start(3, 1000);
    expect_due(30, "1");
    expect_due(30, "1");
    expect_due(30, "1");
    expect_due(10, "02");
    expect_due(20, "1");
    expect_due(880, "1023"); // due since 150, 200 and 1000
    tear_down();
}

TEST(a_stopped_heartbeat_is_never_due_and_may_start_again)
{
    set_up();
    start(0, 100);
    start(1, 100);
    heartbeat_stop(&bench.beats[0]);
    heartbeat_stop(&bench.beats[0]);
    heartbeat_note(&bench.beats[0]);
    expect_due(100, "1");
    start(0, 50);
    expect_due(50, "0");
    heartbeat_stop(&bench.beats[0]);
    heartbeat_stop(&bench.beats[1]);
    expect_due(10000, "");
    start(1, 100);
    expect_due(99, "");
    expect_due(1, "1");
    tear_down();
}

TEST(the_first_may_stop_and_the_next_is_due_when_it_should)
{
    set_up();
    start(0, 100);
    expect_due(40, "");
    start(1, 100);
    expect_due(59, "");
    heartbeat_stop(&bench.beats[0]);
    expect_due(1, "");
    expect_due(39, "");
    expect_due(1, "1");
    tear_down();
}
