// SPDX-License-Identifier: MIT
//
// A signal handler may not walk a folder, because that allocates memory. So what is made is noted,
// the newest first, and the handler removes it in this order.
#include "kit/folder.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_FOLDERS_MAX = 8 }; // while a tree is walked

/// A file or folder that is there.
struct made {
    struct made *older;
    char path[];
};

static struct made *volatile newest; // the signal handler reads it

static void note(const char *path);
static void drop_notes(const char *path);
static void on_signal(int number);
static bool is_inside(const char *name);
static int make_folders(char *path, size_t from);
static int write_all(int fd, struct bytes text);
static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place);

int folder_new(char **path)
{
    const char *parent = getenv("TMPDIR");
    char made[PATH_MAX];
    int len = snprintf(made, sizeof(made), "%s/lunesse-test-XXXXXX",
                       parent == NULL || *parent == '\0' ? "/tmp" : parent);
    if (len < 0 || (size_t)len >= sizeof(made)) {
        return -ENAMETOOLONG;
    }
    if (mkdtemp(made) == NULL) {
        return -errno;
    }
    *path = mem_alloc((size_t)len + 1);
    memcpy(*path, made, (size_t)len + 1);
    note(made);
    return 0;
}

int folder_write(const char *path, const char *name, struct bytes text)
{
    char full[PATH_MAX];
    DCHECK(path != NULL && name != NULL);
    int len = snprintf(full, sizeof(full), "%s/%s", path, name);
    if (!is_inside(name)) {
        return -EINVAL;
    }
    if (len < 0 || (size_t)len >= sizeof(full)) {
        return -ENAMETOOLONG;
    }
    int failure = make_folders(full, strlen(path) + 1);
    if (failure != 0) {
        return failure;
    }
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    note(full);
    failure = write_all(fd, text);
    close(fd);
    return failure;
}

/// Goes from the leaves up. What cannot be removed stays.
void folder_clear(const char *path)
{
    DCHECK(*path == '/');
    IGNORE(nftw(path, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS));
    drop_notes(path);
    note(path); // the folder itself stays
}

void folder_free(char *path)
{
    if (path != NULL) {
        folder_clear(path);
        IGNORE(rmdir(path));
        drop_notes(path);
        mem_free(path);
    }
}

void folder_remove_on_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
        struct sigaction before;
        CHECK(sigaction(numbers[i], &action, &before) == 0);
        if (before.sa_handler == SIG_IGN) {
            CHECK(sigaction(numbers[i], &before, NULL) == 0);
        }
    }
}

/// A path may be noted twice.
static void note(const char *path)
{
    size_t size = strlen(path) + 1;
    struct made *made = mem_alloc(sizeof(struct made) + size);
    memcpy(made->path, path, size);
    made->older = newest;
    newest = made; // last: the handler may come now
}

/// Of what has this path, and of what is below it.
static void drop_notes(const char *path)
{
    size_t len = strlen(path);
    struct made *kept = NULL; // the last one that stays
    for (struct made *made = newest; made != NULL;) {
        struct made *older = made->older;
        bool is_path = strncmp(made->path, path, len) == 0;
        if (!is_path || (made->path[len] != '/' && made->path[len] != '\0')) {
            kept = made;
        } else if (kept == NULL) {
            newest = older;
            mem_free(made);
        } else {
            kept->older = older;
            mem_free(made);
        }
        made = older;
    }
}

/// The signal ends the process when this returns: the handler is there once.
static void on_signal(int number)
{
    for (const struct made *made = newest; made != NULL; made = made->older) {
        if (unlink(made->path) != 0) {
            IGNORE(rmdir(made->path));
        }
    }
    IGNORE(raise(number));
}

/// Whether `name` has no empty part and no "..": it is a file below the folder.
static bool is_inside(const char *name)
{
    for (;;) {
        size_t len = strcspn(name, "/");
        bool is_up = len == 2 && name[0] == '.' && name[1] == '.';
        bool is_same = len == 1 && name[0] == '.';
        if (len == 0 || is_up || is_same) {
            return false;
        }
        if (name[len] == '\0') {
            return true;
        }
        name += len + 1;
    }
}

/// Makes the folders that the path has behind its first `from` bytes.
static int make_folders(char *path, size_t from)
{
    DCHECK(path[from - 1] == '/');
    for (char *at = strchr(path + from, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        int failure = mkdir(path, 0700) != 0 ? -errno : 0;
        if (failure == 0) {
            note(path);
        }
        failure = failure == -EEXIST ? 0 : failure;
        *at = '/';
        if (failure != 0) {
            return failure;
        }
    }
    return 0;
}

static int write_all(int fd, struct bytes text)
{
    while (text.len > 0) {
        ssize_t written = write(fd, text.at, text.len);
        if (written < 0) {
            return -errno;
        }
        text = bytes_skip(text, (size_t)written);
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    if (place->level > 0) {
        IGNORE(remove(path));
    }
    return 0;
}
