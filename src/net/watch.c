// SPDX-License-Identifier: MIT
//
// A path that is added becomes one `struct watched` for itself and one for each folder above it,
// and again for each symbolic link on the way. inotify tells of a name in a folder (`on_event`).
// The name counts if it is a source file in a folder that has sources, or if it is itself watched.
// Then the timer `_quiet` is armed, and when it fires the owner is told.
#include "net/watch.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { LINKS_MAX = 40 }; // on the way to a file, as in Linux

/// A file, a folder with source files, or a folder above one.
struct watched {
    uv_fs_event_t handle; // of a folder
    struct list node;
    struct watch *watch;
    struct watched *above; // the folder that it is in; NULL for / and .
    bool has_sources;
    bool is_file;
    bool is_listed; // for `watch_end_list`
    bool is_told;   // the log has said that it cannot be watched
    char *path;
    const char *name; // the end of `path`
};

static void add_folder(struct watch *watch, const char *folder);
static void add_file(struct watch *watch, const char *path);
static bool follow_link(char path[PATH_MAX]);
static struct watched *get(struct watch *watch, struct bytes path, bool is_file);
static struct watched *find(struct watch *watch, struct bytes path);
static struct watched *add(struct watch *watch, struct bytes path, bool is_file);
static struct bytes folder_above(struct bytes path, struct bytes name);
static struct bytes last_name(struct bytes path);
static void start(struct watched *watched);
static void forget(struct watched *watched);
static void on_closed(uv_handle_t *handle);
static void on_event(uv_fs_event_t *handle, const char *name, int events, int failure);
static void await_quiet(struct watch *watch);
static const struct watched *way_to(const struct watched *folder, const char *name);
static bool is_source(const char *name);
static void on_quiet(struct timer *timer);

void watch_open(struct watch *watch, struct loop *loop, void (*on_changed)(void *user), void *user)
{
    *watch = (struct watch){.loop = loop, .user = user, .on_changed = on_changed};
    list_init(&watch->_paths);
    timer_init(&watch->_quiet, &loop->timers, on_quiet);
}

void watch_add_folder(struct watch *watch, const char *folder)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s", folder);
    int count = 0;
    do {
        add_folder(watch, path);
    } while (count++ < LINKS_MAX && follow_link(path));
}

void watch_add_file(struct watch *watch, const char *path)
{
    char way[PATH_MAX];
    snprintf(way, sizeof(way), "%s", path);
    int count = 0;
    do {
        add_file(watch, way);
    } while (count++ < LINKS_MAX && follow_link(way));
}

/// To watch a folder anew costs the kernel a look at every name of it that it remembers: 124 ms for
/// a /tmp of 30 000. So an edit, which moves no folder, does not pay for that.
void watch_renew(struct watch *watch)
{
    if (!watch->_is_moved) {
        return;
    }
    watch->_is_moved = false;
    LIST_EACH (node, after, &watch->_paths) {
        start(LIST_ITEM(node, struct watched, node));
    }
}

void watch_begin_list(struct watch *watch)
{
    LIST_EACH (node, after, &watch->_paths) {
        LIST_ITEM(node, struct watched, node)->is_listed = false;
    }
}

void watch_end_list(struct watch *watch)
{
    LIST_EACH (node, after, &watch->_paths) {
        struct watched *watched = LIST_ITEM(node, struct watched, node);
        if (!watched->is_listed) {
            forget(watched);
        }
    }
}

void watch_close(struct watch *watch)
{
    watch_begin_list(watch);
    watch_end_list(watch);
    timer_deinit(&watch->_quiet);
}

static void add_folder(struct watch *watch, const char *folder)
{
    struct watched *watched = get(watch, bytes_from_string(folder), false);
    if (watched != NULL) {
        watched->has_sources = true;
    }
}

static void add_file(struct watch *watch, const char *path)
{
    const struct watched *watched = get(watch, bytes_from_string(path), true);
    if (watched != NULL && watched->above != NULL) {
        watched->above->has_sources = true;
    }
}

/// Replaces the first link in `path` by its target. Returns false when there is no link, or when
/// the result would be too long.
static bool follow_link(char path[PATH_MAX])
{
    char target[PATH_MAX];
    char next[PATH_MAX];
    for (size_t end = 1; path[end - 1] != '\0'; end++) {
        if (path[end] != '/' && path[end] != '\0') {
            continue;
        }
        int len = snprintf(next, sizeof(next), "%.*s", (int)end, path);
        ssize_t target_len = readlink(next, target, sizeof(target) - 1);
        if (target_len <= 0) {
            continue; // a folder, the file itself, or nothing
        }
        target[target_len] = '\0';
        bool is_absolute = target[0] == '/';
        int folder_len = is_absolute ? 0 : len - (int)last_name(bytes_of(next, end)).len;
        len = snprintf(next, sizeof(next), "%.*s%s%s", folder_len, path, target, path + end);
        if (len >= PATH_MAX) {
            return false;
        }
        memcpy(path, next, (size_t)len + 1);
        return true;
    }
    return false;
}

/// Returns the `struct watched` of `path`. Makes it if there is none, and those of all folders
/// above it. Returns NULL when there are as many as there may be.
static struct watched *get(struct watch *watch, struct bytes path, bool is_file)
{
    while (path.len > 1 && path.at[path.len - 1] == '/') {
        path.len--;
    }
    struct watched *watched = find(watch, path);
    struct bytes above = folder_above(path, last_name(path));
    struct watched *folder = above.len == 0 ? NULL : get(watch, above, false);
    if (watched == NULL) {
        watched = add(watch, path, is_file);
    }
    if (watched != NULL) {
        watched->above = folder;
        watched->is_listed = true;
    }
    return watched;
}

static struct watched *find(struct watch *watch, struct bytes path)
{
    LIST_EACH (node, after, &watch->_paths) {
        struct watched *watched = LIST_ITEM(node, struct watched, node);
        if (bytes_equal(bytes_from_string(watched->path), path)) {
            return watched;
        }
    }
    return NULL;
}

static struct watched *add(struct watch *watch, struct bytes path, bool is_file)
{
    if (watch->_count == WATCH_PATHS_MAX) {
        if (!watch->_is_full) {
            LOG(LOG_WARN, "not watched, and others neither: too many files and folders",
                log_bytes("path", path), log_int("max", WATCH_PATHS_MAX));
        }
        watch->_is_full = true;
        return NULL;
    }
    struct watched *watched = mem_new(struct watched);
    watched->watch = watch;
    watched->is_file = is_file;
    watched->path = mem_string(path);
    watched->name = watched->path + (path.len - last_name(path).len);
    uv_fs_event_init(&watch->loop->uv, &watched->handle);
    list_append(&watch->_paths, &watched->node);
    watch->_count++;
    start(watched);
    return watched;
}

/// Returns the folder of `path`: "a" for "a/b", "." for "b", "/" for "/b"; empty for "/" and ".".
static struct bytes folder_above(struct bytes path, struct bytes name)
{
    if (bytes_equal(path, BYTES("/")) || bytes_equal(path, BYTES("."))) {
        return BYTES("");
    }
    if (path.len == name.len) {
        return BYTES(".");
    }
    size_t len = path.len - name.len;
    while (len > 1 && path.at[len - 1] == '/') {
        len--;
    }
    return bytes_of(path.at, len);
}

static struct bytes last_name(struct bytes path)
{
    const char *slash = memrchr(path.at, '/', path.len);
    return slash == NULL ? path : bytes_skip(path, (size_t)(slash + 1 - path.at));
}

/// Watches the folder that stands at the path now. If none does, the folder above it is watched and
/// will tell when it comes.
static void start(struct watched *watched)
{
    if (watched->is_file) {
        return;
    }
    uv_fs_event_stop(&watched->handle);
    int failure = uv_fs_event_start(&watched->handle, on_event, watched->path, 0);
    watched->watch->_is_moved |= failure != 0; // the next `watch_renew` tries again
    bool is_missing = failure == UV_ENOENT || failure == UV_ENOTDIR;
    if (failure != 0 && !is_missing && !watched->is_told) {
        watched->is_told = true;
        LOG(LOG_WARN, "not watched", log_string("folder", watched->path),
            log_string("error", uv_strerror(failure)));
    }
}

/// Frees a path that was not listed again. Those below it were not listed either, so no `above`
/// points to it.
static void forget(struct watched *watched)
{
    list_remove(&watched->node);
    watched->watch->_count--;
    uv_close((uv_handle_t *)&watched->handle, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    struct watched *watched = CONTAINER_OF(handle, struct watched, handle);
    mem_free(watched->path);
    mem_free(watched);
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int failure)
{
    struct watched *watched = CONTAINER_OF(handle, struct watched, handle);
    struct watch *watch = watched->watch;
    (void)events;
    if (failure != 0 || name == NULL) {
        return;
    }
    const struct watched *below = way_to(watched, name);
    watch->_is_moved |= below != NULL && !below->is_file;
    if (below != NULL || (watched->has_sources && is_source(name))) {
        if (watch->on_named != NULL) {
            watch->on_named(watch->user, watched->path, name);
        }
        await_quiet(watch);
    }
}

/// Arms the timer anew at each change, so that the owner is told when the changes pause. It is told
/// at the latest WATCH_PATIENCE_MS after the first one, because a program may write without a
/// pause.
static void await_quiet(struct watch *watch)
{
    uint64_t now_ms = loop_now_ms(watch->loop);
    uint64_t due_ms = now_ms + WATCH_QUIET_MS;
    if (!timer_is_armed(&watch->_quiet)) {
        watch->_patient_until_ms = now_ms + WATCH_PATIENCE_MS;
    }
    bool is_over = due_ms > watch->_patient_until_ms;
    timer_arm_at(&watch->_quiet, is_over ? watch->_patient_until_ms : due_ms);
}

/// Returns the path that is watched and that `name` in `folder` is; NULL when there is none.
static const struct watched *way_to(const struct watched *folder, const char *name)
{
    LIST_EACH (node, after, &folder->watch->_paths) {
        const struct watched *watched = LIST_ITEM(node, struct watched, node);
        if (watched->above == folder && strcmp(watched->name, name) == 0) {
            return watched;
        }
    }
    return NULL;
}

/// Whether people edit files of this name. A script may write other files into its own folder, and
/// those must not start a reload.
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
