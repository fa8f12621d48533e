// SPDX-License-Identifier: MIT
//
// The program: argv in, exit code out. It is the server, or with `bench` the load generator.
#include "bench/bench.h"
#include "server/config.h"
#include "server/server.h"

#include <stdio.h>
#include <string.h>

int main(int argument_count, char **arguments)
{
    struct config config;
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
