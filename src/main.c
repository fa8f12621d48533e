// SPDX-License-Identifier: MIT
//
// The program: argv in, exit code out.
#include "server/config.h"
#include "server/server.h"

#include <stdio.h>

int main(int argument_count, char **arguments)
{
    struct config config;
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
