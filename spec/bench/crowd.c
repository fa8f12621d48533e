// SPDX-License-Identifier: MIT
//
// Many readers who do nothing: opens event streams, sees the first comment of each, and holds them
// until it is ended.
//
//   crowd PORT TARGET COUNT        prints: open=N
#include "peer.h"

#include <sys/resource.h>

int main(int argc, char **argv)
{
    static char text[4096];
    if (argc != 4) {
        fprintf(stderr, "usage: crowd PORT TARGET COUNT\n");
        return 2;
    }
    struct rlimit limit;
    unsigned long wanted = strtoul(argv[3], NULL, 10);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (unsigned long i = 0; i < wanted; i++) {
        int fd = connect_to(argv[1]);
        send_get(fd, argv[2], "text/event-stream");
        read_until(fd, text, sizeof(text), "\n:");
    }
    printf("open=%lu\n", wanted);
    fflush(stdout);
    for (;;) {
        pause();
    }
}
