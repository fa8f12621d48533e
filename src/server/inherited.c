// SPDX-License-Identifier: MIT
#include "server/inherited.h"

#include "base/log.h"
#include "script/generation.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static_assert(INHERITED_FIRST == STDERR_FILENO + 1, "they follow the standard streams");

static int announced_count(void);
static long number_of(const char *text);
static bool keep_from_others(int fd);
static int complain_of_count(const char *text);
static int complain_of_closed(int count, int fd);

int inherited_take(void)
{
    int count = announced_count();
    DCHECK(count <= ADDRESSES_MAX);
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    for (int fd = INHERITED_FIRST; fd < INHERITED_FIRST + count; fd++) {
        if (!keep_from_others(fd)) {
            return complain_of_closed(count, fd);
        }
    }
    return count;
}

/// How many sockets LISTEN_FDS announces. Variables that were meant for another process, and came
/// here through a shell, announce none.
static int announced_count(void)
{
    const char *count_text = getenv("LISTEN_FDS");
    const char *pid_text = getenv("LISTEN_PID");
    if (count_text == NULL || pid_text == NULL || number_of(pid_text) != getpid()) {
        return 0;
    }
    long count = number_of(count_text);
    return count < 0 || count > ADDRESSES_MAX ? complain_of_count(count_text) : (int)count;
}

/// The decimal number that `text` is, or -1.
static long number_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    return *text < '0' || *text > '9' || *end != '\0' || errno != 0 ? -1 : number;
}

/// False when there is no such descriptor.
static bool keep_from_others(int fd)
{
    DCHECK(fd > STDERR_FILENO);
    int flags = fcntl(fd, F_GETFD);
    return flags >= 0 && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == 0;
}

static int complain_of_count(const char *text)
{
    log_complain("LISTEN_FDS '%s': a number of sockets expected, at most %d; unset LISTEN_FDS "
                 "to listen on addresses",
                 text, ADDRESSES_MAX);
    return -EINVAL;
}

static int complain_of_closed(int count, int fd)
{
    log_complain("LISTEN_FDS '%d': descriptor %d is not open; they begin with descriptor %d; "
                 "unset LISTEN_FDS to listen on addresses",
                 count, fd, INHERITED_FIRST);
    return -EBADF;
}
