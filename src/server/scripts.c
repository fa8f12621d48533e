// SPDX-License-Identifier: MIT
#include "server/scripts.h"

#include "base/check.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int find_file(struct scripts *scripts, const char *path);
static int find_in_folder(struct scripts *scripts, const char *folder);
static char *folder_of(const char *path, bool is_folder);
static int is_script(const struct dirent *entry);
static int by_name(const void *a, const void *b);
static void check_paths(const struct scripts *scripts);
static char *join(const char *folder, const char *name);

int scripts_find(struct scripts *scripts, const char *path)
{
    struct stat status;
    *scripts = (struct scripts){0};
    if (stat(path, &status) != 0) {
        return -errno;
    }
    bool is_folder = S_ISDIR(status.st_mode);
    int failure = is_folder ? find_in_folder(scripts, path) : find_file(scripts, path);
    if (failure == 0) {
        scripts->folder = folder_of(path, is_folder);
        DEBUG_CALL(check_paths(scripts));
    }
    return failure;
}

bool scripts_are_below(const char *folder)
{
    struct scripts below;
    char *path = join(folder, "scripts/"); // a file of this name is not found
    bool are_there = scripts_find(&below, path) == 0 && below.count > 0;
    scripts_deinit(&below);
    mem_free(path);
    return are_there;
}

void scripts_deinit(struct scripts *scripts)
{
    for (size_t i = 0; i < scripts->count; i++) {
        mem_free(scripts->paths[i]);
    }
    mem_free(scripts->paths);
    mem_free(scripts->folder);
    *scripts = (struct scripts){0};
}

static int find_file(struct scripts *scripts, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno; // also when no descriptor is left to read it with
    }
    close(fd);
    scripts->paths = mem_alloc(sizeof(char *));
    scripts->paths[0] = join("", path);
    scripts->count = 1;
    return 0;
}

static int find_in_folder(struct scripts *scripts, const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_script, NULL);
    if (count < 0) {
        return -errno;
    }
    scripts->paths = mem_alloc(((size_t)count + 1) * sizeof(char *));
    for (int i = 0; i < count; i++) {
        scripts->paths[scripts->count++] = join(folder, entries[i]->d_name);
        mem_free(entries[i]);
    }
    mem_free(entries);
    qsort(scripts->paths, scripts->count, sizeof(char *), by_name);
    return 0;
}

static char *folder_of(const char *path, bool is_folder)
{
    const char *slash = strrchr(path, '/');
    if (!is_folder && slash == NULL) {
        return join("", ".");
    }
    char *folder = join("", path);
    if (!is_folder) {
        folder[slash == path ? 1 : slash - path] = '\0';
    }
    return folder;
}

static int is_script(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".lua") == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/// Scripts are loaded in the order of their names, and each of them once.
static void check_paths(const struct scripts *scripts)
{
    CHECK(scripts->folder[0] != '\0');
    for (size_t i = 0; i < scripts->count; i++) {
        CHECK(scripts->paths[i][0] != '\0');
        CHECK(i == 0 || strcmp(scripts->paths[i - 1], scripts->paths[i]) < 0);
    }
}

/// `folder/name`; one slash between them, none for an empty folder.
static char *join(const char *folder, const char *name)
{
    size_t folder_len = strlen(folder);
    while (folder_len > 1 && folder[folder_len - 1] == '/') {
        folder_len--;
    }
    bool needs_slash = folder_len > 0 && folder[folder_len - 1] != '/';
    size_t size = folder_len + strlen(name) + 2;
    char *path = mem_alloc(size);
    int len =
        snprintf(path, size, "%.*s%s%s", (int)folder_len, folder, needs_slash ? "/" : "", name);
    CHECK(len >= 0 && (size_t)len < size);
    return path;
}
