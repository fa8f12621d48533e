// SPDX-License-Identifier: MIT
#include "server/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static int open_terminal(void);

bool terminal_is_ours(void)
{
    struct sigaction action;
    bool is_ignored = sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
    int fd = open_terminal();
    if (fd < 0) {
        return false;
    }
    bool is_in_foreground = tcgetpgrp(fd) == getpgrp();
    close(fd);
    return is_in_foreground && !is_ignored;
}

bool terminal_is_there(void)
{
    int fd = open_terminal();
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static int open_terminal(void)
{
    return open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
}
