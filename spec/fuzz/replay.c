// SPDX-License-Identifier: MIT
//
// The main function of a fuzz target without libFuzzer: runs the target on each file named on the
// command line, and on each file of each folder. A failure aborts, as it does under libFuzzer.
#include "fuzz.h"

#include "base/mem.h"

#include <dirent.h>
#include <stdio.h>

/// How many files were run, and how many could not be.
struct tally {
    size_t passed;
    size_t failed;
};

static void replay(const char *path, struct tally *tally);
static void replay_folder(DIR *folder, const char *path, struct tally *tally);
static bool replay_file(const char *path);

int main(int argc, char **argv)
{
    struct tally tally = {0, 0};
    for (int i = 1; i < argc; i++) {
        replay(argv[i], &tally);
    }
    printf("%zu passed, %zu failed\n", tally.passed, tally.failed);
    return tally.failed == 0 ? 0 : 1;
}

static void replay(const char *path, struct tally *tally)
{
    DIR *folder = opendir(path);
    if (folder != NULL) {
        replay_folder(folder, path, tally);
        closedir(folder);
    } else if (replay_file(path)) {
        tally->passed++;
    } else {
        printf("%s: cannot be read\n", path);
        tally->failed++;
    }
}

static void replay_folder(DIR *folder, const char *path, struct tally *tally)
{
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char name[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        replay(name, tally);
    }
}

/// Runs the target on a copy of exactly the file's size, so that a sanitizer sees every overrun.
static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    (void)fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    size_t len = size > 0 ? (size_t)size : 0;
    uint8_t *content = mem_alloc(len == 0 ? 1 : len);
    bool is_read = size >= 0 && fread(content, 1, len, file) == len;
    fclose(file);
    if (is_read) {
        printf("%s\n", path);
        fflush(stdout);
        (void)LLVMFuzzerTestOneInput(content, len);
    }
    mem_free(content);
    return is_read;
}
