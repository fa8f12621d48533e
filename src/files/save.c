// SPDX-License-Identifier: MIT
//
// A step that fails removes the draft on the thread that it runs on. The name is given by a link,
// which is refused where there is a file already, and then the draft's own name goes; a save that
// replaces renames the draft.
#include "files/save.h"

#include "base/jitter.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DRAFT_TRIES = 100, DRAFT_NAME_BYTES = 64 };

static void start(struct save *save, offload_fn run);
static void on_done(struct offload *offload);
static void run_begin(struct offload *offload);
static void run_write(struct offload *offload);
static void run_finish(struct offload *offload);
static int open_draft(struct save *save);
static int give_name(const struct save *save);
static void end_step(struct save *save, int failure);
static void remove_draft(struct save *save);
static void end(struct save *save);

struct save *save_new(struct loop *loop, const char *path, bool replaces)
{
    struct save *save = mem_new(struct save);
    save->_loop = loop;
    save->_path = mem_string(bytes_from_string(path));
    save->_file = -1;
    save->_replaces = replaces;
    return save;
}

void save_begin(struct save *save)
{
    DCHECK(save->_file < 0 && save->_draft == NULL);
    start(save, run_begin);
}

void save_write(struct save *save, struct bytes bytes)
{
    DCHECK(save->_file >= 0 && save->_content == NULL);
    save->_content = mem_try_resize(NULL, bytes.len + 1);
    save->_content_len = bytes.len;
    if (save->_content != NULL) {
        memcpy(save->_content, bytes.at, bytes.len);
    }
    start(save, run_write);
}

void save_finish(struct save *save)
{
    DCHECK(save->_file >= 0);
    start(save, run_finish);
}

void save_free(struct save *save)
{
    if (save->_is_running) {
        save->_is_left = true;
    } else {
        end(save);
    }
}

static void start(struct save *save, offload_fn run)
{
    DCHECK(!save->_is_running && !save->_is_left);
    save->_is_running = true;
    save->_offload.run = run;
    save->_offload.done = on_done;
    offload_start(&save->_offload, save->_loop);
}

static void on_done(struct offload *offload)
{
    struct save *save = CONTAINER_OF(offload, struct save, _offload);
    save->_is_running = false;
    mem_free(save->_content);
    save->_content = NULL;
    if (save->_is_left) {
        end(save);
    } else {
        save->on_step(save);
    }
}

static void run_begin(struct offload *offload)
{
    struct save *save = CONTAINER_OF(offload, struct save, _offload);
    struct stat status;
    bool is_taken = !save->_replaces && lstat(save->_path, &status) == 0;
    end_step(save, is_taken ? -EEXIST : open_draft(save));
}

static void run_write(struct offload *offload)
{
    struct save *save = CONTAINER_OF(offload, struct save, _offload);
    size_t done = 0;
    int failure = save->_content == NULL ? -ENOMEM : 0;
    while (failure == 0 && done < save->_content_len) {
        ssize_t count = write(save->_file, save->_content + done, save->_content_len - done);
        failure = count < 0 && errno != EINTR ? -errno : 0;
        done += count > 0 ? (size_t)count : 0;
    }
    end_step(save, failure);
}

static void run_finish(struct offload *offload)
{
    struct save *save = CONTAINER_OF(offload, struct save, _offload);
    int failure = close(save->_file) != 0 && errno != EINTR ? -errno : 0;
    save->_file = -1;
    if (failure == 0) {
        failure = give_name(save);
    }
    if (failure == 0) {
        mem_free(save->_draft);
        save->_draft = NULL;
    }
    end_step(save, failure);
}

/// Makes the draft in the folder of the path, under a name that nobody has.
static int open_draft(struct save *save)
{
    const char *slash = strrchr(save->_path, '/');
    size_t folder_len = slash == NULL ? 0 : (size_t)(slash - save->_path) + 1;
    char *draft = mem_zero(folder_len + DRAFT_NAME_BYTES);
    memcpy(draft, save->_path, folder_len);
    for (int i = 0; i < DRAFT_TRIES && save->_file < 0; i++) {
        snprintf(draft + folder_len, DRAFT_NAME_BYTES, ".lunesse-%ld-%llu", (long)getpid(),
                 (unsigned long long)jitter_between(0, UINT32_MAX - 1));
        save->_file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (save->_file < 0 && errno != EEXIST && errno != EINTR) {
            break;
        }
    }
    int failure = save->_file < 0 ? -errno : 0;
    if (failure == 0) {
        save->_draft = draft;
    } else {
        mem_free(draft);
    }
    return failure;
}

static int give_name(const struct save *save)
{
    if (save->_replaces) {
        return rename(save->_draft, save->_path) == 0 ? 0 : -errno;
    }
    if (link(save->_draft, save->_path) != 0) {
        return -errno;
    }
    return unlink(save->_draft) == 0 ? 0 : -errno;
}

static void end_step(struct save *save, int failure)
{
    save->failure = failure;
    if (failure != 0) {
        remove_draft(save);
    }
}

static void remove_draft(struct save *save)
{
    if (save->_file >= 0) {
        close(save->_file);
        save->_file = -1;
    }
    if (save->_draft != NULL) {
        unlink(save->_draft);
        mem_free(save->_draft);
        save->_draft = NULL;
    }
}

static void end(struct save *save)
{
    remove_draft(save);
    mem_free(save->_path);
    mem_free(save);
}
