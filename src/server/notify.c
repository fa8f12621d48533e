// SPDX-License-Identifier: MIT
#include "server/notify.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    STATE_BYTES_MAX = 512,
    PATIENCE_US = 50 * 1000, // the first worker serves nobody while it waits
};

static void tell(const char *state);
static int send_to(const char *name, const char *state);
static int send_on(int fd, const struct sockaddr_un *address, socklen_t len, const char *state);

void notify_ready(const char *status)
{
    char state[STATE_BYTES_MAX];
    snprintf(state, sizeof(state), "READY=1\nSTATUS=%s", status);
    tell(state);
}

/// The protocol wants the time: by it the manager knows which of its requests this answers.
void notify_reloading(void)
{
    char state[STATE_BYTES_MAX];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_us);
    tell(state);
}

void notify_reloaded(void)
{
    tell("READY=1");
}

/// The manager is told how long the end may take, so its own timeout need not be set to match.
void notify_stopping(const char *status, uint64_t patience_ms)
{
    char state[STATE_BYTES_MAX];
    snprintf(state, sizeof(state), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64 "\nSTATUS=%s",
             patience_ms * 1000, status);
    tell(state);
}

static void tell(const char *state)
{
    const char *name = getenv("NOTIFY_SOCKET");
    int failure = name == NULL || *name == '\0' ? 0 : send_to(name, state);
    if (failure != 0) {
        LOG(LOG_WARN, "the service manager was not told", log_string("socket", name),
            log_string("error", strerror(-failure)));
    }
}

static int send_to(const char *name, const char *state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    DCHECK(len > 0);
    if ((*name != '/' && *name != '@') || len >= sizeof(address.sun_path)) {
        return -EAFNOSUPPORT;
    }
    memcpy(address.sun_path, name, len);
    if (*name == '@') {
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int failure =
        send_on(fd, &address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len), state);
    close(fd);
    return failure;
}

/// Sends the state. A manager that is busy is waited for, for at most PATIENCE_US.
static int send_on(int fd, const struct sockaddr_un *address, socklen_t len, const char *state)
{
    DCHECK(fd >= 0 && len > offsetof(struct sockaddr_un, sun_path) && len <= sizeof(*address));
    struct timeval patience = {.tv_usec = PATIENCE_US};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); // then it may wait
    ssize_t sent =
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)address, len);
    return sent < 0 ? -errno : 0;
}
