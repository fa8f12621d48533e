// SPDX-License-Identifier: MIT
//
// A loop of its own, on which three things arrive: the names of files that change, which are kept
// until `wait` takes them; the end of the program that runs, by its descriptor; and a signal, which
// ends it all. The loop runs in `run`, until the program has ended, and in `wait`, until a burst of
// changes is over. Changes that come while a program runs are there for the next `wait`.
#include "kit/lib_watcher.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/signals.h"
#include "net/watch.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CHANGED_BYTES_MAX = 1024 * 1024,
    CLOSE_PATIENCE_MS = 1000,
    EXIT_OF_SIGNAL = 128, // as shells have it
};

static const char type_name[] = "lunesse.test.watcher";
static const char this_program[] = "/proc/self/exe";

struct watcher {
    struct loop loop;
    struct watch watch;
    struct signals signals;
    struct polled program; // readable when the program has ended
    pid_t id;              // of the program; 0: none runs
    struct buf changed;    // paths, each with a 0 at its end
    bool has_changed;      // and the burst is over
    bool has_lost;         // there were more names than fit into `changed`
    bool is_open;
    bool is_ending; // a signal has come
};

extern char **environ;

static struct watcher *check_watcher(lua_State *L);
static int l_add(lua_State *L);
static int l_run(lua_State *L);
static const char **check_words(lua_State *L, int index);
static int begin_program(struct watcher *watcher, char *const *words);
static int spawn(pid_t *id, char *const *words);
static void on_program_end(struct polled *polled, unsigned events);
static void on_program_closed(struct polled *polled);
static int finish_program(struct watcher *watcher);
static int l_wait(lua_State *L);
static void on_named(void *user, const char *folder, const char *name);
static void on_changed(void *user);
static void on_signal(void *user, int number);
static void on_turn_end(void *arg);
static int l_gc(lua_State *L);

static const luaL_Reg methods[] = {
    {"add", l_add}, {"run", l_run}, {"wait", l_wait}, {"__gc", l_gc}, {NULL, NULL}};

int l_open_watcher(lua_State *L)
{
    struct watcher *watcher = lua_newuserdatauv(L, sizeof(struct watcher), 0);
    *watcher = (struct watcher){.is_open = false};
    if (luaL_newmetatable(L, type_name)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
    int failure = loop_init(&watcher->loop);
    if (failure == 0) {
        failure = signals_open(&watcher->signals, &watcher->loop, on_signal, watcher);
    }
    if (failure != 0) {
        return luaL_error(L, "cannot watch: %s", strerror(-failure));
    }
    watch_open(&watcher->watch, &watcher->loop, on_changed, watcher);
    watcher->watch.on_named = on_named;
    watcher->loop.on_turn_end = on_turn_end;
    buf_init(&watcher->changed, CHANGED_BYTES_MAX);
    watcher->is_open = true;
    return 1;
}

static struct watcher *check_watcher(lua_State *L)
{
    struct watcher *watcher = luaL_checkudata(L, 1, type_name);
    luaL_argcheck(L, watcher->is_open, 1, "the watcher is closed");
    return watcher;
}

/// watcher:add(path) -> the path without links in it. Watches a folder, or a file and those beside
/// it, from now on.
static int l_add(lua_State *L)
{
    struct watcher *watcher = check_watcher(L);
    const char *path = luaL_checkstring(L, 2);
    struct stat status;
    char whole[PATH_MAX];
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        watch_add_folder(&watcher->watch, path);
    } else {
        watch_add_file(&watcher->watch, path);
    }
    lua_pushstring(L, realpath(path, whole) != NULL ? whole : path);
    return 1;
}

/// watcher:run(words) -> the exit code of this program when it is started with the words; nothing
/// when a signal has ended it all.
static int l_run(lua_State *L)
{
    struct watcher *watcher = check_watcher(L);
    const char **words = check_words(L, 2);
    DCHECK(watcher->id == 0);
    if (watcher->is_ending) {
        return 0;
    }
    watch_renew(&watcher->watch); // before the program reads the files
    int failure = begin_program(watcher, (char *const *)words);
    if (failure != 0) {
        return luaL_error(L, "cannot run the specs: %s", strerror(-failure));
    }
    loop_run(&watcher->loop);
    DCHECK(watcher->program.fd < 0);
    int code = finish_program(watcher);
    if (watcher->is_ending) {
        return 0;
    }
    lua_pushinteger(L, code);
    return 1;
}

/// The list of words at `index`, after the program's own name, in memory of Lua's.
static const char **check_words(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    size_t count = (size_t)lua_rawlen(L, index);
    const char **words = lua_newuserdatauv(L, (count + 2) * sizeof(char *), 0);
    words[0] = "lunesse-test";
    for (size_t i = 1; i <= count; i++) {
        int type = lua_rawgeti(L, index, (lua_Integer)i);
        luaL_argcheck(L, type == LUA_TSTRING, index, "a list of texts expected");
        words[i] = lua_tostring(L, -1); // the list holds it
        lua_pop(L, 1);
    }
    words[count + 1] = NULL;
    return words;
}

/// Returns 0 or a negative errno.
static int begin_program(struct watcher *watcher, char *const *words)
{
    DCHECK(watcher->is_open && words[0] != NULL);
    int failure = spawn(&watcher->id, words);
    if (failure != 0) {
        return failure;
    }
    int fd = (int)syscall(SYS_pidfd_open, watcher->id, 0);
    if (fd < 0) {
        return -errno; // it ends by itself
    }
    watcher->program =
        (struct polled){.fd = fd, .on_ready = on_program_end, .on_closed = on_program_closed};
    polled_open(&watcher->loop.poller, &watcher->program);
    failure = polled_want(&watcher->loop.poller, &watcher->program, POLL_READ);
    if (failure != 0) {
        polled_close(&watcher->loop.poller, &watcher->program);
    }
    return failure;
}

/// The program gets the signals as they were before `signals_open` ignored SIGPIPE.
static int spawn(pid_t *id, char *const *words)
{
    posix_spawnattr_t attributes;
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    int failure = posix_spawn(id, this_program, NULL, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    return -failure;
}

static void on_program_end(struct polled *polled, unsigned events)
{
    struct watcher *watcher = CONTAINER_OF(polled, struct watcher, program);
    (void)events;
    polled_close(&watcher->loop.poller, polled);
}

static void on_program_closed(struct polled *polled)
{
    loop_stop(&CONTAINER_OF(polled, struct watcher, program)->loop);
}

/// Returns the exit code.
static int finish_program(struct watcher *watcher)
{
    int status = 0;
    DCHECK(watcher->id > 0);
    while (waitpid(watcher->id, &status, 0) < 0 && errno == EINTR) {
    }
    watcher->id = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_OF_SIGNAL + WTERMSIG(status);
}

/// watcher:wait() -> the paths that have changed since the last call, without links in them;
/// nothing when a signal has ended it all. A path that was removed is as the system has told it.
/// The list is empty when there were too many.
static int l_wait(lua_State *L)
{
    struct watcher *watcher = check_watcher(L);
    char whole[PATH_MAX];
    while (!watcher->has_changed && !watcher->is_ending) {
        loop_run(&watcher->loop);
    }
    if (watcher->is_ending) {
        return 0;
    }
    lua_newtable(L);
    DCHECK(watcher->id == 0 && watcher->has_changed);
    struct bytes rest = watcher->has_lost ? BYTES("") : buf_bytes(&watcher->changed);
    for (lua_Integer i = 1; rest.len > 0; i++) {
        size_t size = strlen(rest.at) + 1;
        lua_pushstring(L, realpath(rest.at, whole) != NULL ? whole : rest.at);
        lua_rawseti(L, -2, i);
        rest = bytes_skip(rest, size);
    }
    buf_clear(&watcher->changed);
    watcher->has_changed = false;
    watcher->has_lost = false;
    return 1;
}

static void on_named(void *user, const char *folder, const char *name)
{
    struct watcher *watcher = user;
    DCHECK(watcher->is_open && *name != '\0');
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", folder, name);
    bool fits = len > 0 && (size_t)len < sizeof(path) &&
                buf_append(&watcher->changed, bytes_of(path, (size_t)len + 1));
    watcher->has_lost = watcher->has_lost || !fits;
}

static void on_changed(void *user)
{
    struct watcher *watcher = user;
    watcher->has_changed = watcher->has_lost || !buf_is_empty(&watcher->changed);
    if (!watcher->has_changed) {
        return; // `wait` has returned the names already, with those of the change before
    }
    if (watcher->id == 0) {
        loop_stop(&watcher->loop);
    }
}

/// The program that runs is ended too. It has had the signal already if it came from a terminal.
static void on_signal(void *user, int number)
{
    struct watcher *watcher = user;
    if (number != SIGINT && number != SIGTERM && number != SIGHUP) {
        return;
    }
    watcher->is_ending = true;
    if (watcher->id != 0) {
        (void)kill(watcher->id, SIGTERM); // it may have ended meanwhile
    } else {
        loop_stop(&watcher->loop);
    }
}

static void on_turn_end(void *arg)
{
    (void)arg;
    log_flush();
}

static int l_gc(lua_State *L)
{
    struct watcher *watcher = luaL_checkudata(L, 1, type_name);
    if (watcher->is_open) {
        watcher->is_open = false;
        watch_close(&watcher->watch);
        signals_close(&watcher->signals);
        if (loop_close(&watcher->loop, CLOSE_PATIENCE_MS) == 0) {
            loop_deinit(&watcher->loop);
        }
        buf_reset(&watcher->changed);
        log_finish();
    }
    return 0;
}
