// SPDX-License-Identifier: MIT
//
// The program: argv in, exit code out. It is the server. With `bench` as the first word it becomes
// the load generator, which is a program of its own, so that the server carries no code of it.
#include "base/outlet.h"
#include "server/config.h"
#include "server/server.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_NOT_STARTED = 127 }; // as shells have it

static const char bench_name[] = "lunesse-bench";

static int become_bench(char **arguments);
static int find_bench(char *path, size_t size);

int main(int argument_count, char **arguments)
{
    struct config config;
    outlet_ensure_standard();
    if (argument_count > 1 && strcmp(arguments[1], "bench") == 0) {
        return become_bench(arguments + 1);
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

/// Replaces this program by the load generator, which keeps the process: its id, its signals and
/// its exit code are those of `lunesse bench`. Returns only when that fails.
static int become_bench(char **arguments)
{
    char path[PATH_MAX];
    int failure = find_bench(path, sizeof(path));
    if (failure != 0) {
        fprintf(stderr,
                "lunesse bench: the folder of this program cannot be found out: "
                "/proc/self/exe: %s; start %s by hand, with the same words\n",
                strerror(-failure), bench_name);
        return EXIT_NOT_STARTED;
    }
    arguments[0] = path;
    execv(path, arguments);
    fprintf(stderr,
            "lunesse bench: cannot start the load generator, %s: %s; it is a program of its "
            "own beside lunesse: `make install` puts both in one folder, and `make build` "
            "builds both\n",
            path, strerror(errno));
    return EXIT_NOT_STARTED;
}

/// Writes the path of the load generator, which stands in the folder of this program; a link to
/// this program may stand anywhere. Returns 0 or a negative errno.
static int find_bench(char *path, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", path, size);
    if (len < 0) {
        return -errno;
    }
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    if ((size_t)len + sizeof(bench_name) > size) {
        return -ENAMETOOLONG;
    }
    memcpy(path + len, bench_name, sizeof(bench_name));
    return 0;
}
