// SPDX-License-Identifier: MIT
//
// Numbers by chance, for moments that must not be the same for all: when a client is told to come
// back. Not for secrets. Any thread may draw; the sequence is one for the process.
#pragma once

#include <stdint.h>

/// Where the sequence begins. Processes that start together must be given different seeds, or they
/// spread their clients alike.
void jitter_seed(unsigned seed);

/// One of the numbers from `min` to `max`, both included, each as likely as the others; `min` is
/// not above `max`, and they are less than 2^62 apart.
uint64_t jitter_between(uint64_t min, uint64_t max);
