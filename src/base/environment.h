// SPDX-License-Identifier: MIT
//
// What is otherwise the machine's or the process's: the clock, numbers by chance, where the log
// goes, the counters. Every thread begins with the environment of the process, whose clock is the
// machine's. An app of the test kit has an environment of its own, so that two apps in one process
// do not see each other; whoever turns a worker of the app sets `environment_here` for that time.
//
// The clock of such an environment stands still: it moves when it is advanced and not otherwise.
// Its numbers by chance are the same each time, so a test that fails fails again. Several threads
// may be in one environment at a time.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct counters;
struct log_sink;

enum {
    ENVIRONMENT_WORKERS_MAX = 64,
    ENVIRONMENT_LIMITS_MAX = 64, // see `limit_met`
    ENVIRONMENT_SLOWNESS_MAX = 63,
};

struct environment {
    /// What `clock_advance` added to the clock.
    atomic_uint_fast64_t advanced_ms;
    /// The clock runs 2^slowness times slower than the machine's. With the largest slowness it
    /// stands still: the machine's clock, shifted by 63 bits, is 0.
    unsigned slowness;
    struct log_sink *log;                                       // NULL: standard error
    struct counters *_Atomic counters[ENVIRONMENT_WORKERS_MAX]; // of each worker, or NULL
    atomic_int_fast64_t limits_said_s[ENVIRONMENT_LIMITS_MAX];  // when a limit may be logged again
    const char *const *variables; // "NAME=value", before the process's own; ends with NULL, or NULL
    bool refuses_memory;          // scripts get none, as if they had passed `lua_bytes`: for specs
    /// Where scripts are that were given as texts: it is no part of their names. No slash at the
    /// end; NULL where there are none.
    const char *texts_folder;
    /// Is told of each line that a script runs, by the name of its chunk, "@scripts/a.lua"; NULL:
    /// nobody is, and a line costs nothing. Set before the scripts load.
    void (*on_line)(void *arg, const char *chunk, int line);
    void *on_line_arg;
    /// Where no network is: who stands in for another server, `host`. Returns 0 and the abstract
    /// name of a Unix socket, which lives until the next call, or a negative number that says why
    /// the connection fails. NULL: nobody stands in.
    int (*on_connect)(void *arg, const char *host, const char **name);
    void *on_connect_arg;
    int64_t _start_ms; // of a clock that stands still: milliseconds since 1970 when it began
    atomic_uint_fast64_t _dice; // where the numbers by chance are
};

/// The environment of the process.
extern struct environment environment_of_process;

extern _Thread_local struct environment *environment_here;

/// Makes an environment whose clock stands still at `start_ms` since 1970.
void environment_init(struct environment *environment, int64_t start_ms);

/// Sets the environment of the calling thread. Returns the one that it had.
struct environment *environment_enter(struct environment *environment);

static inline bool environment_is_still(const struct environment *environment)
{
    return environment->slowness == ENVIRONMENT_SLOWNESS_MAX;
}

/// Milliseconds that a clock that stands still was advanced since it began.
uint64_t environment_passed_ms(const struct environment *environment);

/// Milliseconds since 1970 by a clock that stands still.
int64_t environment_now_ms(const struct environment *environment);

/// As clock_gettime(2), by the clock of the calling thread's environment.
struct timespec environment_time(clockid_t clock);

/// As getenv(3), with the variables of the environment before those of the process. NULL for none.
const char *environment_variable(const char *name);

/// Fills `size` bytes at `at` by chance: as getentropy(3), which nobody can foresee, or the same
/// bytes each time where the clock stands still.
void environment_fill(void *at, size_t size);
