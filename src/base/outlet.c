// SPDX-License-Identifier: MIT
#include "base/outlet.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

enum { PIECE_BYTES_MAX = 4096 }; // a pipe that poll() calls writable takes so much (pipe(7))

static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

void outlet_ensure_standard(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO) {
        fd = open("/dev/null", O_RDWR);
    }
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

void outlet_lock(void)
{
    CHECK(pthread_mutex_lock(&writing) == 0);
}

void outlet_unlock(void)
{
    CHECK(pthread_mutex_unlock(&writing) == 0);
}

int outlet_write(int fd, struct buf *buf, char *last)
{
    struct pollfd target = {.fd = fd, .events = POLLOUT};
    while (!buf_is_empty(buf) && poll(&target, 1, 0) > 0) {
        struct bytes bytes = buf_bytes(buf);
        size_t size = bytes.len < PIECE_BYTES_MAX ? bytes.len : PIECE_BYTES_MAX;
        ssize_t written = write(fd, bytes.at, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return -errno;
        }
        if (written > 0 && last != NULL) {
            *last = bytes.at[written - 1];
        }
        DCHECK((size_t)written <= size);
        buf_consume(buf, (size_t)written);
    }
    return 0;
}
