// SPDX-License-Identifier: MIT
//
// Where the simulation stands, so that whatever goes wrong can say how to see it again, and the
// random numbers that decide everything in it. One of each per program.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct place {
    uint64_t seed;   // of the world that runs
    uint64_t step;   // of that world, from 1
    int reader;      // that is looked at; -1 for none
    bool is_verbose; // `place_say` prints
};

extern struct place place;

/// Prints the promise that was broken, and how to replay that, and ends the program.
_Noreturn void place_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Fails unless `holds`.
#define EXPECT(holds, ...) ((holds) ? (void)0 : place_fail(__VA_ARGS__))

/// Prints what happens, with --verbose.
void place_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Prints the place when an assertion, a sanitizer or a signal ends the program, and ends the
/// program when a world takes too long.
void place_watch(void);

/// Notes that a world begins.
void place_begin(uint64_t seed);

// Random numbers that only the seed decides. Each statement draws one at most: the order of two in
// one expression is the compiler's choice.

void chance_begin(uint64_t seed);
uint64_t chance_bits(void);

/// 0 to `count` - 1.
uint64_t chance_below(uint64_t count);

/// `low` to `high`.
uint64_t chance_between(uint64_t low, uint64_t high);

/// True once in `count` times.
bool chance_one_in(uint64_t count);
