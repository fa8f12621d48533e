// SPDX-License-Identifier: MIT
#include "base/check.h"

#include <stdio.h>

void check_failed(const char *file, int line, const char *expression)
{
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expression);
    fflush(stderr);
    abort();
}
