// SPDX-License-Identifier: MIT
//
// A program under test: the engine of the server, in the calling process and in an environment of
// its own (base/environment.h), so its clock stands still until it is moved and its log is a list.
// There is no socket and no thread: whoever owns the app connects remotes to it and turns its
// workers, one after the other, on one thread. Two apps in one process share nothing that a script
// can see.
//
// Owned by whoever made it; used on one thread. Every function here may call Lua of the app's.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/environment.h"
#include "base/list.h"
#include "kit/lines.h"
#include "kit/records.h"
#include "kit/remote.h"
#include "kit/stand_ins.h"
#include "server/config.h"
#include "server/engine.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A script that is given as a text.
struct app_file {
    const char *name;
    struct bytes text;
};

struct app_options {
    const char *path;             // file or folder; or else
    const struct app_file *files; // texts, for a folder that the app has and removes
    size_t file_count;
    unsigned worker_count;
    const char *const *arguments; // more of the command line
    size_t argument_count;
    int64_t start_ms;             // what its clock shows first, since 1970
    const char *const *variables; // of its environment, "NAME=value"
    size_t variable_count;
    bool counts_lines; // of files; those of texts are no file that a report could show
};

struct app {
    struct environment environment;
    struct records records;
    struct lines lines; // that have run, while they are counted
    struct config config;
    struct engine engine;
    struct list remotes;
    struct stand_ins stand_ins; // for the servers that the app asks
    bool is_open;               // the engine is there
    bool is_restless; // the last `app_turn` ended because something happened again and again
    char **_arguments;
    char **_variables;
    char *_path;   // of the scripts
    char *_folder; // that the app has made for them; or NULL
    char *_why;    // why the last reload failed
    size_t _next;  // worker for the next peer
};

/// Loads scripts. Returns 0, or a negative errno; `why` is then what the log would say, to be freed
/// by `mem_free`.
MUST_USE int app_new(const struct app_options *options, struct app **app, char **why);

/// Ends everything that is open, and closes the engine. Idempotent. False when the engine has left
/// a handle open, which is named on standard error.
bool app_close(struct app *app);

/// Closes and frees the app.
void app_free(struct app *app);

/// Turns every worker until nothing is ready, at most ROUNDS_MAX times. Returns whether anything
/// has happened.
bool app_turn(struct app *app);

/// Appends the lines of scripts that run again and again, as far as there is room. None are known
/// of timers and of scripts that load.
void app_show_restless(struct app *app, struct buf *text);

/// Moves the clock by `ms`, from one timer that is due to the next, and turns at each. It moves no
/// further once the app is restless.
void app_advance(struct app *app, uint64_t ms);

/// How long it is until the next timer is due; UINT64_MAX for never.
uint64_t app_next_ms(struct app *app);

/// A peer that is connected to worker `number`, or to the workers in turn for 0. It begins with a
/// PROXY header if it `is_proxied`. NULL when nobody accepts connections any more.
struct remote *app_connect(struct app *app, unsigned number, const struct socket_address *from,
                           size_t window, bool is_proxied);

/// Begins to load the same scripts again, or those that `options` names by path or files, and
/// turns.
void app_reload(struct app *app, const struct app_options *options);

/// Whether the last reload is over. It is not while the new scripts wait for time. `why` is then
/// why it has failed, which the app keeps, or NULL.
bool app_has_reloaded(const struct app *app, const char **why);

/// What the process would do at SIGTERM, SIGINT or SIGHUP.
void app_signal(struct app *app, int number);

/// Appends the paths of the scripts and of the modules that they have required, each with a 0 at
/// its end, as far as there is room.
void app_list_sources(struct app *app, struct buf *paths);

enum app_fault { APP_MEMORY, APP_RUN_TIMEOUT };

/// APP_MEMORY: no script gets memory while this is on, in whatever generation. Scripts that are
/// loaded meanwhile fail to load. APP_RUN_TIMEOUT: the next run of each worker is ended, as if it
/// had passed `run_timeout`.
void app_fail(struct app *app, enum app_fault fault, bool is_on);

/// Where the calling thread was before it entered an app.
struct app_place {
    struct environment *environment;
    struct counters *counters;
};

/// The calling thread is in the app's environment, and counts for its worker `number`, until
/// `app_leave`.
struct app_place app_enter(struct app *app, unsigned number);
void app_leave(struct app_place place);
