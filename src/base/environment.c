// SPDX-License-Identifier: MIT
#include "base/environment.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FIRST_MS = 3600 * 1000, // what a clock that stands still shows first: 0 is "never" to many
    MS_PER_SECOND = 1000,
    NS_PER_MS = 1000 * 1000,
};

struct environment environment_of_process;
_Thread_local struct environment *environment_here = &environment_of_process;

static uint64_t draw(struct environment *environment);

void environment_init(struct environment *environment, int64_t start_ms)
{
    *environment = (struct environment){
        .slowness = ENVIRONMENT_SLOWNESS_MAX, .advanced_ms = FIRST_MS, ._start_ms = start_ms};
}

struct environment *environment_enter(struct environment *environment)
{
    struct environment *before = environment_here;
    DCHECK(environment != NULL);
    environment_here = environment;
    return before;
}

uint64_t environment_passed_ms(const struct environment *environment)
{
    DCHECK(environment_is_still(environment));
    return environment->advanced_ms - FIRST_MS;
}

int64_t environment_now_ms(const struct environment *environment)
{
    return environment->_start_ms + (int64_t)environment_passed_ms(environment);
}

struct timespec environment_time(clockid_t clock)
{
    const struct environment *environment = environment_here;
    struct timespec now;
    if (!environment_is_still(environment)) {
        clock_gettime(clock, &now);
        return now;
    }
    bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    int64_t ms = is_wall ? environment_now_ms(environment) : (int64_t)environment->advanced_ms;
    int64_t second = ms / MS_PER_SECOND - (ms % MS_PER_SECOND < 0);
    return (struct timespec){.tv_sec = second,
                             .tv_nsec = (ms - second * MS_PER_SECOND) * NS_PER_MS};
}

const char *environment_variable(const char *name)
{
    const char *const *variable = environment_here->variables;
    size_t len = strlen(name);
    for (; variable != NULL && *variable != NULL; variable++) {
        if (strncmp(*variable, name, len) == 0 && (*variable)[len] == '=') {
            return *variable + len + 1;
        }
    }
    return getenv(name);
}

void environment_fill(void *at, size_t size)
{
    struct environment *environment = environment_here;
    if (!environment_is_still(environment)) {
        CHECK(getentropy(at, size) == 0);
        return;
    }
    for (size_t filled = 0; filled < size;) {
        uint64_t number = draw(environment);
        size_t len = size - filled < sizeof(number) ? size - filled : sizeof(number);
        memcpy((char *)at + filled, &number, len);
        filled += len;
    }
}

/// The generator SplitMix64: every state gives another number, and all 64 bits of it are mixed.
static uint64_t draw(struct environment *environment)
{
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t number = atomic_fetch_add(&environment->_dice, step) + step;
    number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
    return number ^ (number >> 31);
}
