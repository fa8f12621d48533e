// SPDX-License-Identifier: MIT
#include "place.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_signal(int number);
static void print_place(void);

/// A function of the sanitizers' runtime; NULL without a sanitizer.
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct place place = {.reader = -1};

static const unsigned patience_seconds = 120; // for one world, which takes a moment

static uint64_t chance_state;

void place_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("BROKEN: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    print_place();
    exit(1);
}

void place_say(const char *format, ...)
{
    if (!place.is_verbose) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    printf("%6" PRIu64 "  ", place.step);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

/// Gives stdout a buffer of its own: printing must not allocate when the heap is broken.
void place_watch(void)
{
    static char memory[BUFSIZ];
    setvbuf(stdout, memory, _IOFBF, sizeof(memory));
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(print_place);
    } else {
        signal(SIGSEGV, on_signal);
        signal(SIGFPE, on_signal);
    }
}

/// SplitMix64: small, fast, and good enough to choose by.
uint64_t chance_bits(void)
{
    chance_state += 0x9e3779b97f4a7c15;
    uint64_t bits = chance_state;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    return bits ^ bits >> 31;
}

void place_begin(uint64_t seed)
{
    place.seed = seed;
    place.step = 0;
    alarm(patience_seconds);
    chance_begin(seed);
}

void chance_begin(uint64_t seed)
{
    chance_state = seed;
}

uint64_t chance_below(uint64_t count)
{
    return chance_bits() % count;
}

uint64_t chance_between(uint64_t low, uint64_t high)
{
    return low + chance_below(high - low + 1);
}

bool chance_one_in(uint64_t count)
{
    return chance_below(count) == 0;
}

/// Prints from a signal handler, which is not safe in general; here the program is ending and has
/// one thread.
static void on_signal(int number)
{
    printf("BROKEN: %s\n", number == SIGALRM ? "it goes round and round" : sigdescr_np(number));
    print_place();
    _exit(1);
}

static void print_place(void)
{
    printf("seed %" PRIu64 ", step %" PRIu64 ", reader %d; to see it again: sim --seed %" PRIu64
           " --steps %" PRIu64 " --verbose\n",
           place.seed, place.step, place.reader, place.seed, place.step);
    fflush(stdout);
}
