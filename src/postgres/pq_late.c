// SPDX-License-Identifier: MIT
#include "postgres/pq_late.h"

#include <stddef.h>

struct pq_functions libpq;

static const char *const names[] = {
#define PQ_NAME(name) #name,
    PQ_FUNCTIONS(PQ_NAME)
#undef PQ_NAME
        NULL,
};

static struct late_library library = LATE_LIBRARY("libpq.so.5", "libpq5", names, &libpq);

int pq_late_load(char why[LATE_WHY_BYTES])
{
    return late_load(&library, why);
}
