// SPDX-License-Identifier: MIT
//
// Two engines in one process, without a socket. Each serves a request and an event stream; their
// channels, stores, Lua states and ids have the same names and nothing in common.
//
// Each has an environment of its own (base/environment.h), so their clocks, logs and counters
// differ too. Per process, because a process has one of them, are: standard output, and the names
// that metrics and limits have.
#include "rig.h"
#include "unit.h"

#include "base/counters.h"

#include <pthread.h>
#include <stdio.h>

enum { CALLERS = 5, PATH_BYTES = 64 };

static const char script[] =
    "local lunesse = require 'lunesse'\n"
    "local server = lunesse.server()\n"
    "local room, store, count = lunesse.channel 'room', lunesse.shared 'store', 0\n"
    "server:get('/set/:value', function(request, response)\n"
    "  store:set('name', request.params.value)\n"
    "  count = count + 1\n"
    "  response:send 'is set'\n"
    "end)\n"
    "server:get('/get', function(_, response)\n"
    "  response:send(('%s, %d'):format(store:get 'name', count))\n"
    "end)\n"
    "server:get('/publish/:text', function(request, response)\n"
    "  response:send(room:publish(request.params.text))\n"
    "end)\n"
    "server:get('/time', function(_, response)\n"
    "  response:send(('at %d, %g, %g'):format(os.time(), os.clock(), lunesse.now()))\n"
    "end)\n"
    "server:get('/events', function(_, response)\n"
    "  response.sse:subscribe(room, { since = 'earliest' })\n"
    "end)\n";

static void ask(struct rig *rig, struct caller *caller, const char *path, const char *word)
{
    char target[PATH_BYTES];
    snprintf(target, sizeof(target), path, word);
    rig_enter(rig, 0);
    caller_ask(caller, &rig->engine.workers[0], target, "");
    rig_turn(rig, 0);
}

static void hang_up(struct rig *rig, struct caller *callers, size_t count)
{
    rig_enter(rig, 0);
    for (size_t i = 0; i < count; i++) {
        caller_leave(&callers[i]);
    }
    rig_turn(rig, 0);
    for (size_t i = 0; i < count; i++) {
        caller_deinit(&callers[i]);
    }
}

/// Whether the callers of one engine have seen what it did for `word`, and nothing of `other`.
static bool is_only_of(const struct caller *callers, const char *word, const char *other)
{
    char text[PATH_BYTES];
    snprintf(text, sizeof(text), "data: %s", word);
    bool is_served = caller_has(&callers[0], "is set") && caller_has(&callers[3], word) &&
                     caller_has(&callers[3], ", 1") && caller_has(&callers[1], text) &&
                     caller_has(&callers[1], "-1\n") && !caller_has(&callers[1], "-2\n");
    for (size_t i = 0; i < 4; i++) {
        is_served = is_served && !caller_has(&callers[i], other);
    }
    return is_served;
}

TEST(two_engines_on_one_thread_share_nothing)
{
    static struct rig rigs[2];
    static struct caller callers[2][CALLERS];
    static const char *const words[] = {"ann", "ben"};
    for (size_t i = 0; i < 2; i++) {
        rig_init(&rigs[i], script, 1);
        rig_open_worker(&rigs[i], 0);
    }
    static const char *const paths[] = {"/set/%s", "/events", "/publish/%s", "/get"};
    for (size_t step = 0; step < 4; step++) {
        for (size_t i = 0; i < 2; i++) { // in turn, so that each could meet what the other did
            ask(&rigs[i], &callers[i][step], paths[step], words[i]);
        }
    }
    EXPECT(is_only_of(callers[0], "ann", "ben"));
    EXPECT(is_only_of(callers[1], "ben", "ann"));
    EXPECT_INT(rigs[0].engine.hub.channel_count, 1);
    EXPECT_INT(rigs[1].engine.hub.channel_count, 1);
    EXPECT_INT(rigs[0].engine.conn_total, 4);
    hang_up(&rigs[0], callers[0], 4);
    rig_close_worker(&rigs[0], 0);
    rig_deinit(&rigs[0]);
    ask(&rigs[1], &callers[1][4], "/publish/%s", "bea"); // the other one goes on
    EXPECT(caller_has(&callers[1][1], "data: bea\n"));
    EXPECT_INT(rigs[1].engine.conn_total, 5);
    hang_up(&rigs[1], callers[1], 5);
    rig_close_worker(&rigs[1], 0);
    rig_deinit(&rigs[1]);
}

TEST(two_engines_have_two_clocks)
{
    static struct rig rigs[2];
    static struct caller callers[2];
    for (size_t i = 0; i < 2; i++) {
        rig_init(&rigs[i], script, 1);
        rig_open_worker(&rigs[i], 0);
    }
    rig_advance(&rigs[1], 7500);
    for (size_t i = 0; i < 2; i++) {
        ask(&rigs[i], &callers[i], "/time", "");
    }
    EXPECT(caller_has(&callers[0], "at 0, 0, 0"));
    EXPECT(caller_has(&callers[0], "Date: Thu, 01 Jan 1970 00:00:00 GMT"));
    EXPECT(caller_has(&callers[1], "at 7, 7.5, 7.5"));
    EXPECT(caller_has(&callers[1], "Date: Thu, 01 Jan 1970 00:00:07 GMT"));
    for (size_t i = 0; i < 2; i++) {
        hang_up(&rigs[i], &callers[i], 1);
        rig_close_worker(&rigs[i], 0);
        rig_deinit(&rigs[i]);
    }
}

/// What one engine does on a thread of its own.
struct run {
    struct rig rig;
    struct caller callers[CALLERS];
    pthread_barrier_t *both; // wait for each other, so that both are open at once
    const char *word;
    const char *other;
    unsigned number;
    uint64_t published;
    bool is_good;
};

static void *run_alone(void *arg)
{
    struct run *run = arg;
    struct rig *rig = &run->rig;
    rig_open_worker(rig, 0);
    pthread_barrier_wait(run->both);
    ask(rig, &run->callers[0], "/set/%s", run->word);
    ask(rig, &run->callers[1], "/events", "");
    ask(rig, &run->callers[2], "/publish/%s", run->word);
    ask(rig, &run->callers[3], "/get", "");
    run->is_good = is_only_of(run->callers, run->word, run->other);
    for (unsigned i = 0; i < run->number; i++) {
        ask(rig, &run->callers[4], "/publish/%s", "more");
        hang_up(rig, &run->callers[4], 1);
    }
    run->published = counters_of(1)->values[COUNT_PUBLISHED];
    hang_up(rig, run->callers, 4);
    pthread_barrier_wait(run->both);
    rig_close_worker(rig, 0);
    rig_deinit(rig);
    worker_tidy_thread();
    return NULL;
}

TEST(two_engines_on_two_threads_share_nothing)
{
    static struct run runs[2] = {{.word = "ann", .other = "ben", .number = 1},
                                 {.word = "ben", .other = "ann", .number = 2}};
    pthread_t threads[2];
    pthread_barrier_t both;
    CHECK(pthread_barrier_init(&both, NULL, 2) == 0);
    for (size_t i = 0; i < 2; i++) {
        runs[i].both = &both;
        rig_init(&runs[i].rig, script, 1);
    }
    for (size_t i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, run_alone, &runs[i]) == 0);
    }
    for (size_t i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    pthread_barrier_destroy(&both);
    for (size_t i = 0; i < 2; i++) {
        EXPECT(runs[i].is_good);
        EXPECT_INT(runs[i].published, 1 + runs[i].number); // each counts for itself
    }
}
