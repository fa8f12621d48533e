// SPDX-License-Identifier: MIT
//
// Numbers by chance, for moments that must not be the same for all, such as when clients are told
// to come back. They are not for secrets. Any thread may draw; the process has one sequence.
#pragma once

#include <stdint.h>

/// Sets where the sequence begins. Processes that start together need different seeds; otherwise
/// they all draw the same numbers.
void jitter_seed(unsigned seed);

/// One of the numbers from `min` to `max`, both included, each as likely as the others; `min` is
/// not above `max`, and they are less than 2^62 apart.
uint64_t jitter_between(uint64_t min, uint64_t max);
