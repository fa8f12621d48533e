// SPDX-License-Identifier: MIT
#include "server/generations.h"

#include "base/log.h"
#include "base/mem.h"
#include "http/service.h"
#include "script/retire.h"
#include "script/visit.h"
#include "server/config.h"
#include "server/dispatch.h"
#include "server/scripts.h"
#include "sse/stream.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/// What a reload has done.
struct change {
    uint64_t began_ns;
    size_t script_count;
    size_t added;
    size_t changed;
    size_t removed;
    size_t ended; // streams
};

static struct generation *make(struct generations *generations, struct limits *limits);
static char *load_scripts(struct generations *generations, struct generation *generation,
                          size_t *script_count);
static char *text(const char *format, const char *detail, const char *more);
static void on_job(struct loop_job *job);
static void on_wanted(void *owner);
static void watch_sources(struct generations *generations, struct generation *generation);
static void watch_folder_of(void *user, const char *path);
static void swap(struct generations *generations, struct generation *fresh,
                 const struct limits *limits, struct change *change);
static void end_oldest(struct generations *generations);
static void compare(const struct generation *old, const struct generation *fresh,
                    struct change *change);
static const struct route *find_route(const struct generation *generation,
                                      const struct route *wanted);
static void report(const struct generations *generations, const struct change *change);
static void report_failure(struct generations *generations, char *why);
static bool has_same_addresses(const struct generation *a, const struct generation *b);

void generations_init(struct generations *generations, const struct config *config,
                      const struct generation_options *options, struct dispatch *dispatch)
{
    *generations = (struct generations){
        .config = config,
        .options = *options,
        .dispatch = dispatch,
        .next_number = 1,
    };
    generations->options.on_reload_wanted = on_wanted;
    generations->options.owner = generations;
    list_init(&generations->retired);
    loop_job_init(&generations->job, on_job);
}

void generations_deinit(struct generations *generations)
{
    loop_job_cancel(&generations->job);
    LIST_EACH (node, after, &generations->retired) {
        list_remove(node);
        generation_free(LIST_ITEM(node, struct generation, node));
    }
    if (generations->current != NULL) {
        generation_free(generations->current);
    }
    mem_free(generations->failure);
}

int generations_load(struct generations *generations)
{
    size_t script_count;
    generations->current = make(generations, generations->options.limits);
    generations->dispatch->generation = generations->current;
    char *why = load_scripts(generations, generations->current, &script_count);
    if (why == NULL) {
        return 0;
    }
    fprintf(stderr, "lunesse: %s\n", why);
    mem_free(why);
    return 1;
}

void generations_watch(struct generations *generations)
{
    watch_open(&generations->watch, generations->options.loop, on_wanted, generations);
    generations->is_watching = true;
    watch_sources(generations, generations->current);
}

void generations_stop(struct generations *generations)
{
    generations->is_stopped = true;
    loop_job_cancel(&generations->job);
    if (generations->is_watching) {
        watch_close(&generations->watch);
        generations->is_watching = false;
    }
}

void generations_reload(struct generations *generations)
{
    if (generations->is_stopped) {
        LOG(LOG_INFO, "not reloaded: the server is stopping");
        return;
    }
    loop_at_turn_end(generations->options.loop, LOOP_RUN, &generations->job);
}

void generations_sweep(struct generations *generations)
{
    LIST_EACH (node, after, &generations->retired) {
        struct generation *generation = LIST_ITEM(node, struct generation, node);
        if (generation_is_idle(generation)) {
            list_remove(node);
            generations->retired_count--;
            LOG(LOG_DEBUG, "generation ended", log_int("generation", (int64_t)generation->number));
            generation_free(generation);
        }
    }
}

static struct generation *make(struct generations *generations, struct limits *limits)
{
    struct generation_options options = generations->options;
    options.limits = limits;
    struct generation *generation = generation_new(&options);
    generation->number = generations->next_number++;
    return generation;
}

/// Returns why it failed, for the caller to free, or NULL.
static char *load_scripts(struct generations *generations, struct generation *generation,
                          size_t *script_count)
{
    const struct config *config = generations->config;
    struct scripts scripts;
    char *why = NULL;
    int failure = scripts_find(&scripts, config->script);
    *script_count = scripts.count;
    if (failure != 0) {
        return text("cannot read %s: %s", config->script, strerror(-failure));
    }
    config_apply_limits(config, generation->options.limits); // loading has its limits too
    if (scripts.count == 0) {
        why = text("no *.lua files in %s%s", config->script, "");
    }
    for (size_t i = 0; i < scripts.count && why == NULL; i++) {
        IGNORE(generation_load(generation, scripts.paths[i], &why)); // `why` tells
    }
    if (why == NULL) {
        IGNORE(generation_complete(generation, &why)); // the same
    }
    scripts_deinit(&scripts);
    config_apply_limits(config, generation->options.limits); // over what the scripts say
    return why;
}

static char *text(const char *format, const char *detail, const char *more)
{
    size_t size = strlen(format) + strlen(detail) + strlen(more) + 1;
    char *text = mem_alloc(size);
    snprintf(text, size, format, detail, more);
    return text;
}

static void on_wanted(void *owner)
{
    generations_reload(owner);
}

/// The folder of the scripts, and those of the modules that they require.
static void watch_sources(struct generations *generations, struct generation *generation)
{
    struct stat status;
    const char *script = generations->config->script;
    if (stat(script, &status) == 0 && S_ISDIR(status.st_mode)) {
        IGNORE(watch_add(&generations->watch, script)); // what cannot be watched is not
    } else {
        watch_folder_of(generations, script);
    }
    generation_each_module(generation, watch_folder_of, generations);
}

/// What the system has installed is not edited.
static void watch_folder_of(void *user, const char *path)
{
    struct generations *generations = user;
    const char *slash = strrchr(path, '/');
    if (strncmp(path, "/usr/", 5) == 0) {
        return;
    }
    char *folder = slash == NULL ? text("%s%s", ".", "") : text("%.0s%s", "", path);
    if (slash != NULL) {
        folder[slash == path ? 1 : slash - path] = '\0';
    }
    IGNORE(watch_add(&generations->watch, folder)); // what cannot be watched is not
    mem_free(folder);
}

/// All or nothing: until the new generation is complete, nothing of the old one has changed.
static void on_job(struct loop_job *job)
{
    struct generations *generations = CONTAINER_OF(job, struct generations, job);
    struct limits limits = limits_default();
    struct change change = {.began_ns = loop_machine_ns()};
    struct generation *fresh = make(generations, &limits);
    char *why = load_scripts(generations, fresh, &change.script_count);
    if (generations->is_watching) {
        watch_sources(generations, fresh);
    }
    if (why != NULL) {
        generations->next_number = fresh->number;
        generation_free(fresh);
        report_failure(generations, why);
        return;
    }
    swap(generations, fresh, &limits, &change);
    report(generations, &change);
}

/// The number of connections is fixed when the program starts.
static void swap(struct generations *generations, struct generation *fresh,
                 const struct limits *limits, struct change *change)
{
    struct generation *old = generations->current;
    struct limits *in_use = generations->options.limits;
    uint64_t connections = in_use->connections;
    *in_use = *limits;
    in_use->connections = connections;
    fresh->options.limits = in_use;
    compare(old, fresh, change);
    generations->current = fresh;
    generations->dispatch->generation = fresh;
    generations->dispatch->match_number = 0; // a request whose body still comes is matched anew
    list_append(&generations->retired, &old->node);
    generations->retired_count++;
    change->ended = generation_retire(old);
    end_oldest(generations);
    mem_free(generations->failure);
    generations->failure = NULL;
    generations->dispatch->failure = NULL;
}

/// What ends by itself does not count. One that was ended before, and is still there, is again.
static void end_oldest(struct generations *generations)
{
    generations_sweep(generations);
    size_t live_count = generations->retired_count + 1;
    LIST_EACH (node, after, &generations->retired) {
        struct generation *oldest = LIST_ITEM(node, struct generation, node);
        if (live_count-- <= GENERATIONS_MAX) {
            return;
        }
        size_t stream_count = generation_end(oldest);
        LOG(LOG_WARN, "generation ended by force: too many reloads since",
            log_int("generation", (int64_t)oldest->number),
            log_int("streams", (int64_t)stream_count));
    }
}

static void compare(const struct generation *old, const struct generation *fresh,
                    struct change *change)
{
    LIST_EACH (node, after, &fresh->route_list) {
        const struct route *route = LIST_ITEM(node, struct route, node);
        const struct route *before = find_route(old, route);
        change->added += before == NULL;
        change->changed += before != NULL && before->digest != route->digest;
    }
    LIST_EACH (gone, following, &old->route_list) {
        change->removed += find_route(fresh, LIST_ITEM(gone, struct route, node)) == NULL;
    }
    if (!has_same_addresses(old, fresh)) {
        LOG(LOG_WARN, "listen has changed: start the program anew for the new addresses");
    }
}

static const struct route *find_route(const struct generation *generation,
                                      const struct route *wanted)
{
    LIST_EACH (node, after, &generation->route_list) {
        const struct route *route = LIST_ITEM(node, struct route, node);
        if (strcmp(route->method, wanted->method) == 0 &&
            strcmp(route->pattern, wanted->pattern) == 0) {
            return route;
        }
    }
    return NULL;
}

static bool has_same_addresses(const struct generation *a, const struct generation *b)
{
    bool is_same = a->address_count == b->address_count;
    for (size_t i = 0; is_same && i < a->address_count; i++) {
        is_same = strcmp(a->addresses[i].text, b->addresses[i].text) == 0 &&
                  a->addresses[i].port == b->addresses[i].port &&
                  a->addresses[i].is_unix == b->addresses[i].is_unix;
    }
    return is_same;
}

static void report(const struct generations *generations, const struct change *change)
{
    size_t open = generations->service == NULL ? 0 : streams_count(generations->service);
    LOG(LOG_INFO, "reloaded", log_int("generation", (int64_t)generations->current->number),
        log_int("scripts", (int64_t)change->script_count), log_int("added", (int64_t)change->added),
        log_int("changed", (int64_t)change->changed), log_int("removed", (int64_t)change->removed),
        log_int("kept", (int64_t)open), log_int("ended", (int64_t)change->ended),
        log_duration("ms", (int64_t)((loop_machine_ns() - change->began_ns) / 1000)));
}

static void report_failure(struct generations *generations, char *why)
{
    LOG(LOG_ERROR, "not reloaded: the scripts that ran go on", log_string("why", why));
    mem_free(generations->failure);
    generations->failure = why;
    generations->dispatch->failure = why;
}
