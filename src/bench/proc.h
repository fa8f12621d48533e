// SPDX-License-Identifier: MIT
//
// What a measurement costs: the CPU time of the server's process and of our own, and the server's
// memory, as the kernel of Linux tells it.
#pragma once

#include <stdint.h>

/// A moment of a measurement. Two of them, and what lies between, make a figure.
struct proc_moment {
    uint64_t at_ns;
    uint64_t own_cpu_ns;
    uint64_t server_cpu_ns; // 0 without a server's pid
};

/// The moment that is now; `pid` may be 0.
struct proc_moment proc_now(uint64_t pid);

/// Bytes of anonymous memory that the process holds, the heap and the stacks that is, without what
/// it maps from files. 0 when that cannot be read.
uint64_t proc_memory_bytes(uint64_t pid);
