// SPDX-License-Identifier: MIT
//
// The program: argv in, exit code out. It is the server. With `bench` as the first word it becomes
// the load generator, and with `test` or `new` the test kit. Those are programs of their own, so
// that the server carries no code of them.
#include "base/outlet.h"
#include "server/config.h"
#include "server/server.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_NOT_STARTED = 127 }; // as shells have it

/// A program that this one becomes.
struct other {
    const char *word; // the first one of the command line
    const char *name; // of its file, in the folder of this program
    const char *what;
    char *first; // its first argument, in place of the word; NULL for none
};

static const struct other others[] = {
    {"bench", "lunesse-bench", "load generator", NULL},
    {"test", "lunesse-test", "test kit", NULL},
    {"--test-path", "lunesse-test", "test kit", "--test-path"},
    {"new", "lunesse-test", "test kit", "--new"},
};

static int become(const struct other *other, char **arguments);
static int find(const struct other *other, char *path, size_t size);

int main(int argument_count, char **arguments)
{
    struct config config;
    outlet_ensure_standard();
    for (size_t i = 0; argument_count > 1 && i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(arguments[1], others[i].word) == 0) {
            return become(&others[i], arguments);
        }
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

/// Replaces this program by the other one, which keeps the process: its id, its signals and its
/// exit code are those of this command. Returns only when that fails.
static int become(const struct other *other, char **arguments)
{
    char path[PATH_MAX];
    int failure = find(other, path, sizeof(path));
    if (failure != 0) {
        fprintf(stderr,
                "lunesse %s: the folder of this program cannot be found out: "
                "/proc/self/exe: %s; start %s by hand, with the same words\n",
                other->word, strerror(-failure), other->name);
        return EXIT_NOT_STARTED;
    }
    if (other->first != NULL) {
        arguments[1] = other->first;
    } else {
        arguments++;
    }
    arguments[0] = path;
    execv(path, arguments);
    fprintf(stderr,
            "lunesse %s: cannot start the %s, %s: %s; it is a program of its "
            "own beside lunesse: `make install` puts both in one folder, and `make build` "
            "builds both\n",
            other->word, other->what, path, strerror(errno));
    return EXIT_NOT_STARTED;
}

/// Writes the path of the other program, which stands in the folder of this one; a link to this
/// program may stand anywhere. Returns 0 or a negative errno.
static int find(const struct other *other, char *path, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", path, size);
    if (len < 0) {
        return -errno;
    }
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    if ((size_t)len + strlen(other->name) + 1 > size) {
        return -ENAMETOOLONG;
    }
    memcpy(path + len, other->name, strlen(other->name) + 1);
    return 0;
}
