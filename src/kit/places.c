// SPDX-License-Identifier: MIT
#include "kit/places.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int places_find_kit(char *pattern, size_t size)
{
    static const char *const places[] = {"../lib/lunesse/lunesse/test.so",
                                         "lunesse-lua/lunesse/test.so", NULL};
    static const char module[] = "lunesse/test.so";
    char path[PATH_MAX];
    int failure = places_find(places, path, sizeof(path));
    if (failure != 0) {
        return failure;
    }
    size_t len = strlen(path) - (sizeof(module) - 1);
    DCHECK(strcmp(path + len, module) == 0);
    int needed = snprintf(pattern, size, "%.*s?.so", (int)len, path);
    return (size_t)needed < size ? 0 : -ENAMETOOLONG;
}

int places_find(const char *const *places, char *path, size_t size)
{
    char program[PATH_MAX];
    DCHECK(size > 0);
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (len < 0) {
        return -errno;
    }
    while (len > 0 && program[len - 1] != '/') {
        len--;
    }
    program[len] = '\0';
    for (; *places != NULL; places++) {
        char place[PATH_MAX + 64];
        char whole[PATH_MAX];
        snprintf(place, sizeof(place), "%s%s", program, *places);
        if (realpath(place, whole) != NULL && access(whole, R_OK) == 0) {
            return (size_t)snprintf(path, size, "%s", whole) < size ? 0 : -ENAMETOOLONG;
        }
    }
    return -ENOENT;
}
