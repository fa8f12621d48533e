// SPDX-License-Identifier: MIT
//
// Tests the promise of channels with random steps. Over the real hub, streams and connections of
// one to three workers, with a scripted transport and scripted clocks, clients of every kind come,
// stall, leave at any byte and come back, to this worker or to that; and each of them has received
// every event once, in order, or was told what it missed.
//
//     sim --seed N --steps M [--verbose]
//
// The steps are divided among worlds of WORLD_STEPS each, the first with seed N, the next with N+1,
// and so on. Whatever fails prints the seed of its world and the step, which replays it.
#include "place.h"
#include "steps.h"
#include "world.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>

enum {
    WORLD_STEPS = 2000,
    DEFAULT_STEPS = 100000,
    SPARE_BYTES = 1024 * 1024, // what the allocator keeps for itself
};

static void run_world(uint64_t seed, uint64_t step_count);
static size_t allocated_bytes(void);
static uint64_t read_number(const char *text);
_Noreturn static void explain(void);

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"steps", required_argument, NULL, 'n'},
        {"verbose", no_argument, NULL, 'v'},
        {0},
    };
    uint64_t seed = 1;
    uint64_t step_count = DEFAULT_STEPS;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            seed = read_number(optarg);
            break;
        case 'n':
            step_count = read_number(optarg);
            break;
        case 'v':
            place.is_verbose = true;
            break;
        default:
            explain();
        }
    }
    if (optind < argc) {
        explain();
    }
    place_watch();
    log_configure(LOG_SILENT, LOG_TEXT);
    IGNORE(mem_has(1)); // the reserve of memory is there from now on
    size_t bytes_before = allocated_bytes();
    uint64_t world_count = 0;
    for (uint64_t left = step_count; left > 0; world_count++) {
        uint64_t count = left < WORLD_STEPS ? left : WORLD_STEPS;
        run_world(seed + world_count, count);
        size_t bytes = allocated_bytes();
        EXPECT(bytes < bytes_before + SPARE_BYTES,
               "since the first world %zu bytes were not given back", bytes - bytes_before);
        left -= count;
    }
    printf("seed %" PRIu64 ": %" PRIu64 " steps in %" PRIu64 " worlds\n", seed, step_count,
           world_count);
    return 0;
}

static void run_world(uint64_t seed, uint64_t step_count)
{
    struct world *world = mem_new(struct world);
    place_begin(seed);
    world_init(world);
    while (place.step < step_count) {
        place.step++;
        steps_take(world);
    }
    world_deinit(world);
    mem_free(world);
}

/// The bytes in use by libc's allocator; 0 with a sanitizer, whose allocator looks for leaks
/// itself.
static size_t allocated_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static uint64_t read_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        explain();
    }
    return number;
}

static void explain(void)
{
    fprintf(stderr, "usage: sim [--seed N] [--steps M] [--verbose]\n");
    exit(2);
}
