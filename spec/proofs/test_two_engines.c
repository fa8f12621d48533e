// SPDX-License-Identifier: MIT
//
// Two engines in one process, without a socket. Each serves a request and an event stream; their
// channels, stores, Lua states and ids have the same names and nothing in common.
//
// Per process, because a process has one of them, are: the log and standard output, the names that
// metrics and limits have, the pause between two warnings of a limit, the random numbers of waits
// (`jitter_between`), the test clock (`net/clock.h`; all loops go by it), and the table in which
// counters are found by a worker's number. Two engines therefore number their workers differently.
#include "engine.h"
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
    "server:get('/events', function(_, response)\n"
    "  response.sse:subscribe(room, { since = 'earliest' })\n"
    "end)\n";

static void ask(struct engine *engine, struct caller *caller, const char *path, const char *word)
{
    char target[PATH_BYTES];
    snprintf(target, sizeof(target), path, word);
    caller_ask(caller, &engine->workers[0], target, "");
    engine_turn(engine, 0);
}

static void hang_up(struct engine *engine, struct caller *callers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        caller_leave(&callers[i]);
    }
    engine_turn(engine, 0);
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
    static struct engine engines[2];
    static struct caller callers[2][CALLERS];
    static const char *const words[] = {"ann", "ben"};
    for (unsigned i = 0; i < 2; i++) {
        engine_init(&engines[i], script, i + 1, 1);
        engine_open_worker(&engines[i], 0);
    }
    static const char *const paths[] = {"/set/%s", "/events", "/publish/%s", "/get"};
    for (size_t step = 0; step < 4; step++) {
        for (size_t i = 0; i < 2; i++) { // in turn, so that each could meet what the other did
            ask(&engines[i], &callers[i][step], paths[step], words[i]);
        }
    }
    EXPECT(is_only_of(callers[0], "ann", "ben"));
    EXPECT(is_only_of(callers[1], "ben", "ann"));
    EXPECT_INT(engines[0].hub.channel_count, 1);
    EXPECT_INT(engines[1].hub.channel_count, 1);
    EXPECT_INT(engines[0].conn_total, 4);
    hang_up(&engines[0], callers[0], 4);
    engine_close_worker(&engines[0], 0);
    engine_deinit(&engines[0]);
    ask(&engines[1], &callers[1][4], "/publish/%s", "bea"); // the other one goes on
    EXPECT(caller_has(&callers[1][1], "data: bea\n"));
    EXPECT_INT(engines[1].conn_total, 5);
    hang_up(&engines[1], callers[1], 5);
    engine_close_worker(&engines[1], 0);
    engine_deinit(&engines[1]);
    counters_free();
}

/// What one engine does on a thread of its own.
struct run {
    struct engine engine;
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
    struct engine *engine = &run->engine;
    engine_open_worker(engine, 0);
    pthread_barrier_wait(run->both);
    ask(engine, &run->callers[0], "/set/%s", run->word);
    ask(engine, &run->callers[1], "/events", "");
    ask(engine, &run->callers[2], "/publish/%s", run->word);
    ask(engine, &run->callers[3], "/get", "");
    run->is_good = is_only_of(run->callers, run->word, run->other);
    for (unsigned i = 0; i < run->number; i++) {
        ask(engine, &run->callers[4], "/publish/%s", "more");
        hang_up(engine, &run->callers[4], 1);
    }
    run->published = counters_of(run->number)->values[COUNT_PUBLISHED];
    hang_up(engine, run->callers, 4);
    pthread_barrier_wait(run->both);
    engine_close_worker(engine, 0);
    engine_deinit(engine);
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
        engine_init(&runs[i].engine, script, runs[i].number, 1);
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
    counters_free();
}
