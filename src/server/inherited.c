// SPDX-License-Identifier: MIT
#include "server/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { COUNT_MAX = 4096 };

static int announced_count(void);
static long number_of(const char *text);
static int keep_from_others(int fd);

int inherited_take(void)
{
    int count = announced_count();
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    for (int fd = INHERITED_FIRST; fd < INHERITED_FIRST + count; fd++) {
        int failure = keep_from_others(fd);
        if (failure != 0) {
            return failure;
        }
    }
    return count;
}

/// Variables for another process, inherited through a shell, say nothing.
static int announced_count(void)
{
    const char *count_text = getenv("LISTEN_FDS");
    const char *pid_text = getenv("LISTEN_PID");
    if (count_text == NULL || pid_text == NULL || number_of(pid_text) != getpid()) {
        return 0;
    }
    long count = number_of(count_text);
    return count < 0 || count > COUNT_MAX ? -EINVAL : (int)count;
}

/// The decimal number that `text` is, or -1.
static long number_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    return *text < '0' || *text > '9' || *end != '\0' || errno != 0 ? -1 : number;
}

static int keep_from_others(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    return flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0 ? -errno : 0;
}
