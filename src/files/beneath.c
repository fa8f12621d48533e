// SPDX-License-Identifier: MIT
#include "files/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
    TRIES = 8, // openat2 gives up when something was renamed on the way (openat2(2), EAGAIN)
    NAME_BYTES_MAX = 255,
};

static int open_folder(const char *root);
static int open_at_once(int folder, const char *path);
static int open_by_steps(int folder, const char *path);
static int open_step(int folder, const char *name, size_t len, bool is_last);

int beneath_find(const char *root, const char *path)
{
    DCHECK(path != NULL && *path != '\0');
    if (root == NULL) {
        int fd = open(path, OPEN_FLAGS);
        return fd < 0 ? -errno : fd;
    }
    int folder = open_folder(root);
    if (folder < 0) {
        return folder;
    }
    int fd = open_at_once(folder, path);
    if (fd == -ENOSYS || fd == -EPERM) { // containers forbid what they do not know with EPERM
        fd = open_by_steps(folder, path);
    }
    close(folder);
    return fd;
}

int beneath_find_by_steps(const char *root, const char *path)
{
    DCHECK(root != NULL && *path != '\0');
    int folder = open_folder(root);
    if (folder < 0) {
        return folder;
    }
    int fd = open_by_steps(folder, path);
    close(folder);
    return fd;
}

/// The folder itself may be reached over links: its owner named it.
static int open_folder(const char *root)
{
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return folder < 0 ? -errno : folder;
}

static int open_at_once(int folder, const char *path)
{
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int failure = EAGAIN;
    for (int i = 0; i < TRIES && failure == EAGAIN; i++) {
        long fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));
        if (fd >= 0) {
            return (int)fd;
        }
        failure = errno;
    }
    return -failure;
}

static int open_by_steps(int folder, const char *path)
{
    int at = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    if (at < 0) {
        return -errno;
    }
    if (path[0] == '/') {
        close(at);
        return -EXDEV;
    }
    bool is_last = false;
    while (!is_last) {
        size_t len = strcspn(path, "/");
        size_t slashes = strspn(path + len, "/");
        is_last = slashes == 0;
        int next = open_step(at, path, len, is_last);
        close(at);
        if (next < 0) {
            return next;
        }
        at = next;
        path += len + slashes;
    }
    return at;
}

/// Opens one part of a path. Behind a slash at the end stands an empty part: the folder itself.
static int open_step(int folder, const char *name, size_t len, bool is_last)
{
    char text[NAME_BYTES_MAX + 1];
    DCHECK(folder >= 0 && (len > 0 || is_last));
    if (len > NAME_BYTES_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(text, name, len);
    text[len] = '\0';
    if (strcmp(text, "..") == 0) {
        return -EXDEV;
    }
    int flags = is_last ? OPEN_FLAGS : O_PATH | O_DIRECTORY | O_CLOEXEC;
    int fd = openat(folder, len == 0 ? "." : text, flags | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}
