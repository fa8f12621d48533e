// SPDX-License-Identifier: MIT
#include "net/watch.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/loop.h"

#include <errno.h>
#include <string.h>

static void on_event(uv_fs_event_t *handle, const char *name, int events, int failure);
static bool is_source(const char *name);
static void on_quiet(struct timer *timer);

void watch_open(struct watch *watch, struct loop *loop, void (*on_changed)(void *user), void *user)
{
    *watch = (struct watch){.loop = loop, .user = user, .on_changed = on_changed};
    timer_init(&watch->_quiet, loop, on_quiet);
}

int watch_add(struct watch *watch, const char *folder)
{
    for (size_t i = 0; i < watch->_count; i++) {
        if (strcmp(watch->_folders[i], folder) == 0) {
            return 0;
        }
    }
    if (watch->_count == WATCH_FOLDERS_MAX) {
        return -ENOSPC;
    }
    uv_fs_event_t *handle = &watch->_handles[watch->_count];
    uv_fs_event_init(&watch->loop->uv, handle);
    handle->data = watch;
    char *copy = mem_alloc(strlen(folder) + 1);
    memcpy(copy, folder, strlen(folder) + 1);
    watch->_folders[watch->_count++] = copy;
    return uv_fs_event_start(handle, on_event, folder, 0);
}

void watch_close(struct watch *watch)
{
    for (size_t i = 0; i < watch->_count; i++) {
        uv_close((uv_handle_t *)&watch->_handles[i], NULL);
        mem_free(watch->_folders[i]);
    }
    watch->_count = 0;
    timer_deinit(&watch->_quiet);
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int failure)
{
    struct watch *watch = handle->data;
    (void)events;
    if (failure == 0 && name != NULL && is_source(name)) {
        timer_arm(&watch->_quiet, WATCH_QUIET_MS);
    }
}

/// What scripts write in their own folder must not start a reload: only what people edit counts.
static bool is_source(const char *name)
{
    static const char *const endings[] = {".lua", ".html", ".css", ".js", ".mjs", ".svg"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t ending_len = strlen(endings[i]);
        if (name[0] != '.' && len > ending_len &&
            strcmp(name + len - ending_len, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void on_quiet(struct timer *timer)
{
    struct watch *watch = CONTAINER_OF(timer, struct watch, _quiet);
    watch->on_changed(watch->user);
}
