// SPDX-License-Identifier: MIT
//
// Asks for the same target at a steady pace, on one connection, and tells how long the answers
// took. The time of an answer begins when its request was due, so that one long wait is not hidden
// by the requests that could not be sent meanwhile.
//
//   pace PORT TARGET SECONDS EVERY_MS MARK      MARK ends an answer
//   prints: answers=N p50=MICROSECONDS p99=MICROSECONDS max=MICROSECONDS
#include "peer.h"

enum { ANSWERS_MAX = 100 * 1000 };

static int by_size(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static void wait_until(double moment)
{
    double left = moment - now_seconds();
    if (left > 0) {
        struct timespec pause = {.tv_sec = (time_t)left,
                                 .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    static double times[ANSWERS_MAX];
    static char text[8192];
    if (argc != 6) {
        fprintf(stderr, "usage: pace PORT TARGET SECONDS EVERY_MS MARK\n");
        return 2;
    }
    double every = strtod(argv[4], NULL) / 1000;
    size_t wanted = (size_t)(strtod(argv[3], NULL) / every);
    wanted = wanted < 1 ? 1 : wanted > ANSWERS_MAX ? ANSWERS_MAX : wanted;
    int fd = connect_to(argv[1]);
    double start = now_seconds();
    for (size_t i = 0; i < wanted; i++) {
        double due = start + (double)i * every;
        wait_until(due);
        send_get(fd, argv[2], "*/*");
        read_until(fd, text, sizeof(text), argv[5]);
        times[i] = (now_seconds() - due) * 1e6;
    }
    qsort(times, wanted, sizeof(times[0]), by_size);
    printf("answers=%zu p50=%.0f p99=%.0f max=%.0f\n", wanted, times[wanted / 2],
           times[wanted * 99 / 100], times[wanted - 1]);
    return 0;
}
