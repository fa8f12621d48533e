// SPDX-License-Identifier: MIT
#include "bench/proc.h"

#include "net/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_value_ns(clockid_t clock);
static uint64_t ticks_ns(uint64_t pid);
static uint64_t read_field(uint64_t pid, const char *file, const char *name);

/// The CPU clock of a process counts nanoseconds, and includes threads that run and threads that
/// have ended. The ticks of `stat` are too coarse, and `task/*/schedstat` has only threads that
/// run.
struct proc_moment proc_now(uint64_t pid)
{
    struct proc_moment moment = {.at_ns = clock_machine_ns(),
                                 .own_cpu_ns = clock_value_ns(CLOCK_PROCESS_CPUTIME_ID)};
    clockid_t clock;
    if (pid == 0) {
        return moment;
    }
    bool has_clock = clock_getcpuclockid((pid_t)pid, &clock) == 0;
    moment.server_cpu_ns = has_clock ? clock_value_ns(clock) : ticks_ns(pid);
    return moment;
}

/// smaps_rollup is exact; status is kept per thread and may be some hundred KiB late.
uint64_t proc_memory_bytes(uint64_t pid)
{
    uint64_t kib = read_field(pid, "smaps_rollup", "Anonymous:");
    if (kib == 0) {
        kib = read_field(pid, "status", "RssAnon:");
    }
    return kib * 1024;
}

static uint64_t clock_value_ns(clockid_t clock)
{
    struct timespec value = {0};
    if (clock_gettime(clock, &value) != 0) {
        return 0;
    }
    return (uint64_t)value.tv_sec * 1000000000 + (uint64_t)value.tv_nsec;
}

/// utime and stime are the 12th and 13th field behind the name, which may hold anything.
static uint64_t ticks_ns(uint64_t pid)
{
    char text[1024];
    snprintf(text, sizeof(text), "/proc/%" PRIu64 "/stat", pid);
    FILE *file = fopen(text, "re");
    if (file == NULL) {
        return 0;
    }
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file); // it was only read
    text[len] = '\0';
    char *at = strrchr(text, ')');
    for (int i = 0; i < 12 && at != NULL; i++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL) {
        return 0;
    }
    uint64_t ticks = strtoull(at, &at, 10);
    ticks += strtoull(at, NULL, 10);
    return ticks * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t read_field(uint64_t pid, const char *file, const char *name)
{
    char line[256];
    uint64_t value = 0;
    snprintf(line, sizeof(line), "/proc/%" PRIu64 "/%s", pid, file);
    FILE *lines = fopen(line, "re");
    if (lines == NULL) {
        return 0;
    }
    while (value == 0 && fgets(line, sizeof(line), lines) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = strtoull(line + strlen(name), NULL, 10);
        }
    }
    (void)fclose(lines); // it was only read
    return value;
}
