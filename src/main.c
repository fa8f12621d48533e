// SPDX-License-Identifier: MIT
//
// The program: argv in, exit code out. It is the server, or with `bench` the load generator.
#include "bench/bench.h"
#include "server/config.h"
#include "server/server.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void open_standard_streams(void);

int main(int argument_count, char **arguments)
{
    struct config config;
    open_standard_streams();
    if (argument_count > 1 && strcmp(arguments[1], "bench") == 0) {
        return bench_run(argument_count - 1, arguments + 1);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    switch (config_parse(&config, argument_count, arguments)) {
    case CONFIG_DONE:
        return 0;
    case CONFIG_USAGE:
        return 2;
    case CONFIG_RUN:
        break;
    }
    return server_run(&config);
}

/// Where one is closed, the next descriptor that is opened would be it, and get what is written
/// there.
static void open_standard_streams(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO) {
        fd = open("/dev/null", O_RDWR);
    }
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}
