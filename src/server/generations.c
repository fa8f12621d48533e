// SPDX-License-Identifier: MIT
//
// A generation goes through one of two ways. `generations_load` makes the first one and lets it
// take over. Every other is built as `candidate` beside `current`; `generations_swap` makes it
// current and puts the old one into `draining`, where it stays until nothing of it is under way;
// `generations_abort` frees the candidate. Each generation has limits of its own, because scripts
// set limits while they load and a candidate that is discarded must not have changed any.
#include "server/generations.h"

#include "base/environment.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"
#include "script/generation_end.h"
#include "script/guard.h"
#include "script/lib_task.h"
#include "script/scope.h"
#include "server/config.h"
#include "sse/stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 100, STILL_TURNS_MAX = 10000, STILL_STEP_MS = 1000 };

/// What `generations_load` waits for.
struct first_load {
    struct generations *generations;
    struct timer timer;
    char *why;      // NULL when the scripts have loaded
    bool runs_loop; // and not turns it one by one
    bool is_over;
    bool is_given_up;
};

static void on_first_built(void *arg, char *why);
static void on_patience_end(struct timer *timer);
static int take_first(struct generations *generations, char *why);
static void load(struct generations *generations, struct generation **slot, struct limits *limits,
                 generations_built_fn built, void *arg);
static int make(struct generations *generations, struct limits *limits, struct generation **slot,
                char **why);
static void on_current_loaded(void *arg, char *why);
static void on_candidate_loaded(void *arg, char *why);
static void on_loaded(struct generations *generations, struct generation *generation, char *why);
static char *lack_of_scripts(const char *folder);
static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void end_oldest(struct generations *generations);
static bool is_forgotten(const struct generations *generations, const struct generation *old);
static void compare(const struct generation *old, const struct generation *fresh,
                    struct change *change);
static const struct route *find_route(const struct generation *generation,
                                      const struct route *wanted);
static bool has_same_addresses(const struct generation *a, const struct generation *b);
static void set_failure(struct generations *generations, const char *why);
static void check_generations(const struct generations *generations);

void generations_init(struct generations *generations, const struct config *config,
                      const struct generation_options *options)
{
    *generations = (struct generations){
        .config = config,
        .options = *options,
        .next_number = 1,
    };
    list_init(&generations->draining);
}

void generations_deinit(struct generations *generations)
{
    LIST_EACH (node, after, &generations->draining) {
        list_remove(node);
        generation_free(LIST_ITEM(node, struct generation, node));
    }
    if (generations->candidate != NULL) {
        generation_free(generations->candidate);
    }
    if (generations->current != NULL) {
        generation_free(generations->current);
        generations->current = NULL; // the end of the loop's last turn still looks at it
    }
    if (generations->options.limits != NULL) {
        limits_release(generations->options.limits);
    }
    mem_free(generations->failure);
    scripts_deinit(&generations->scripts);
}

/// The loop runs until the scripts have loaded. A clock that stands still is moved to what comes
/// next, because nobody else could move it meanwhile; and by a second where a script goes on and on
/// and waits for no time, so that `load_timeout` comes.
int generations_load(struct generations *generations)
{
    struct loop *loop = generations->options.loop;
    struct limits *limits = generations->options.limits;
    struct first_load first = {.generations = generations};
    DCHECK(generations->current == NULL && limits != NULL);
    generations->options.limits = NULL;
    timer_init(&first.timer, &loop->timers, on_patience_end);
    load(generations, &generations->current, limits, on_first_built, &first);
    if (!first.is_over && !environment_is_still(environment_here)) {
        timer_arm(&first.timer, PATIENCE_MS);
        first.runs_loop = true;
        loop_run(loop);
    }
    for (int turns = 0; !first.is_over && !first.is_given_up; turns++) {
        uint64_t due_ms = loop_next_ms(loop);
        uint64_t step_ms = turns == STILL_TURNS_MAX ? STILL_STEP_MS : 0;
        if (!loop_turn(loop) && due_ms > loop_now_ms(loop)) {
            step_ms = due_ms - loop_now_ms(loop);
        }
        if (step_ms > 0) {
            loop_advance(loop, step_ms);
            turns = 0;
        }
    }
    timer_deinit(&first.timer);
    if (first.is_given_up) {
        generation_stop_loading(generations->current);
        return -ECANCELED;
    }
    return take_first(generations, first.why);
}

static void on_first_built(void *arg, char *why)
{
    struct first_load *first = arg;
    first->is_over = true;
    first->why = why;
    if (first->runs_loop) {
        loop_stop(first->generations->options.loop);
    }
}

/// Looks every PATIENCE_MS whether anybody still waits for the scripts.
static void on_patience_end(struct timer *timer)
{
    struct first_load *first = CONTAINER_OF(timer, struct first_load, timer);
    struct generations *generations = first->generations;
    timer_arm(timer, PATIENCE_MS);
    if (generations->wants_end != NULL && generations->wants_end(generations->wants_end_arg)) {
        first->is_given_up = true;
        loop_stop(generations->options.loop);
    }
}

static int take_first(struct generations *generations, char *why)
{
    if (why == NULL) {
        generation_take_over(generations->current);
        DEBUG_CALL(check_generations(generations));
        return 0;
    }
    log_complain("%s", why);
    mem_free(why);
    return guard_is_given_up(generations->current->parts.guard) ? -ECANCELED : -EINVAL;
}

void generations_build(struct generations *generations, generations_built_fn built, void *arg)
{
    DCHECK(generations->current != NULL);
    DCHECK(generations->candidate == NULL);
    DEBUG_CALL(check_generations(generations));
    load(generations, &generations->candidate, limits_new(), built, arg);
}

void generations_swap(struct generations *generations, struct change *change)
{
    struct generation *old = generations->current;
    struct generation *fresh = generations->candidate;
    DCHECK(old != NULL && fresh != NULL);
    DEBUG_CALL(check_generations(generations));
    *change = (struct change){0};
    compare(old, fresh, change);
    generations->current = fresh;
    generations->candidate = NULL;
    list_append(&generations->draining, &old->node);
    generations->draining_count++;
    generation_take_over(fresh);
    size_t open_count = streams_count(generations->service);
    generation_drain(old);
    change->kept = streams_count(generations->service);
    change->ended = open_count > change->kept ? open_count - change->kept : 0;
    end_oldest(generations);
    set_failure(generations, NULL);
    DEBUG_CALL(check_generations(generations));
}

void generations_abort(struct generations *generations, const char *why)
{
    struct generation *candidate = generations->candidate;
    DEBUG_CALL(check_generations(generations));
    if (candidate != NULL) {
        generations->next_number = candidate->options.number;
        generations->candidate = NULL;
        generation_free(candidate);
    }
    set_failure(generations, why);
}

size_t generations_task_count(const struct generations *generations)
{
    size_t count = lib_task_awaited_count(&generations->current->parts);
    LIST_EACH (node, after, &generations->draining) {
        count += lib_task_awaited_count(&LIST_ITEM(node, struct generation, node)->parts);
    }
    return count;
}

void generations_sweep(struct generations *generations)
{
    LIST_EACH (node, after, &generations->draining) {
        struct generation *generation = LIST_ITEM(node, struct generation, node);
        if (generation_is_idle(generation)) {
            DCHECK(generations->draining_count > 0);
            list_remove(node);
            generations->draining_count--;
            LOG(LOG_DEBUG, "generation ended",
                log_int("generation", (int64_t)generation->options.number));
            generation_free(generation);
        }
    }
}

/// Makes a generation in `slot`, which takes over `limits`, even if it fails, and loads the
/// scripts. The folder of scripts is read first: if no descriptor is free, its failure is the
/// clearest reason.
static void load(struct generations *generations, struct generation **slot, struct limits *limits,
                 generations_built_fn built, void *arg)
{
    const char *path = generations->config->script;
    struct scripts *scripts = &generations->scripts;
    char *why = NULL;
    scripts_deinit(scripts);
    int failure = scripts_find(scripts, path);
    if (failure != 0) {
        why = text("cannot read %s: %s", path, strerror(-failure));
    } else if (scripts->count == 0) {
        why = lack_of_scripts(path);
    }
    config_apply_limits(generations->config, limits); // loading has its limits too
    char *other_why = NULL;
    int other_failure = make(generations, limits, slot, &other_why);
    DCHECK((other_failure == 0) == (other_why == NULL));
    if (why == NULL) {
        why = other_why;
    } else {
        mem_free(other_why);
    }
    generations->_built = built;
    generations->_built_arg = arg;
    if (why != NULL) {
        on_loaded(generations, *slot, why);
        return;
    }
    generation_require_from(*slot, scripts->folder);
    generation_load(*slot, scripts->paths, scripts->count,
                    *slot == generations->candidate ? on_candidate_loaded : on_current_loaded,
                    generations);
}

static void on_current_loaded(void *arg, char *why)
{
    struct generations *generations = arg;
    on_loaded(generations, generations->current, why);
}

static void on_candidate_loaded(void *arg, char *why)
{
    struct generations *generations = arg;
    on_loaded(generations, generations->candidate, why);
}

/// The limits of the command line go over what the scripts say.
static void on_loaded(struct generations *generations, struct generation *generation, char *why)
{
    config_apply_limits(generations->config, generation->options.limits);
    generations->_built(generations->_built_arg, why);
}

/// As `generation_new`: `slot` is what there is of the generation, even if it fails.
static int make(struct generations *generations, struct limits *limits, struct generation **slot,
                char **why)
{
    struct generation_options options = generations->options;
    options.limits = limits;
    DCHECK(*slot == NULL);
    options.number = generations->next_number++;
    bool is_beside = generations->current != NULL;
    int failure = generation_new(&options, slot, why);
    if (is_beside) {
        generation_load_beside(*slot);
    }
    return failure;
}

/// Whoever stands beside the folder of the scripts mostly means that one.
static char *lack_of_scripts(const char *folder)
{
    bool are_below = scripts_are_below(folder);
    return text("no *.lua files in %s%s", folder,
                are_below ? ", but in its folder scripts/: serve that one" : "");
}

static char *text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = mem_format(format, arguments);
    va_end(arguments);
    return text;
}

/// Ends the oldest generations by force while there are more than GENERATIONS_MAX, and those that
/// only tasks still run when as many reloads have come since. Those that are idle are freed first
/// and do not count. One that was ended before and is still there is ended again.
static void end_oldest(struct generations *generations)
{
    generations_sweep(generations);
    size_t live_count = generations->draining_count + 1;
    LIST_EACH (node, after, &generations->draining) {
        struct generation *oldest = LIST_ITEM(node, struct generation, node);
        if (live_count-- <= GENERATIONS_MAX && !is_forgotten(generations, oldest)) {
            continue;
        }
        size_t task_count = lib_task_count(&oldest->parts);
        size_t stream_count = generation_end(oldest);
        LOG(LOG_WARN, "generation ended by force: too many reloads since",
            log_int("generation", (int64_t)oldest->options.number),
            log_int("streams", (int64_t)stream_count), log_int("tasks", (int64_t)task_count));
    }
}

static bool is_forgotten(const struct generations *generations, const struct generation *old)
{
    uint64_t newest = generations->current->options.number;
    return old->options.number + GENERATIONS_MAX <= newest && lib_task_count(&old->parts) > 0 &&
           list_is_empty(scopes_list(old->parts.scopes));
}

static void compare(const struct generation *old, const struct generation *fresh,
                    struct change *change)
{
    LIST_EACH (node, after, application_routes(fresh->parts.application)) {
        const struct route *route = LIST_ITEM(node, struct route, node);
        const struct route *before = find_route(old, route);
        change->added += before == NULL;
        change->changed += before != NULL && before->digest != route->digest;
    }
    LIST_EACH (gone, following, application_routes(old->parts.application)) {
        change->removed += find_route(fresh, LIST_ITEM(gone, struct route, node)) == NULL;
    }
    if (!has_same_addresses(old, fresh) && fresh->options.worker == 1) {
        LOG(LOG_WARN, "listen has changed: start the program anew for the new addresses");
    }
}

static const struct route *find_route(const struct generation *generation,
                                      const struct route *wanted)
{
    LIST_EACH (node, after, application_routes(generation->parts.application)) {
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
    size_t count;
    size_t other_count;
    const struct address *one = application_addresses(a->parts.application, &count);
    const struct address *other = application_addresses(b->parts.application, &other_count);
    bool is_same = count == other_count;
    for (size_t i = 0; is_same && i < count; i++) {
        is_same = strcmp(one[i].text, other[i].text) == 0 && one[i].port == other[i].port &&
                  one[i].mode == other[i].mode && one[i].is_unix == other[i].is_unix &&
                  one[i].is_proxied == other[i].is_proxied;
    }
    return is_same;
}

static void set_failure(struct generations *generations, const char *why)
{
    mem_free(generations->failure);
    generations->failure = why == NULL ? NULL : text("%s", why);
}

/// What holds between any two calls: generations drain in the order of their numbers, the current
/// one is later than they, and the candidate is the last of all.
static void check_generations(const struct generations *generations)
{
    const struct generation *current = generations->current;
    const struct generation *candidate = generations->candidate;
    uint64_t number = 0;
    size_t count = 0;
    LIST_EACH (node, after, &generations->draining) {
        const struct generation *generation = LIST_ITEM(node, struct generation, node);
        CHECK(generation != current && generation != candidate);
        CHECK(generation->options.number > number);
        number = generation->options.number;
        count++;
    }
    CHECK(count == generations->draining_count);
    CHECK(current == NULL || current->options.number > number);
    CHECK(current != NULL || (candidate == NULL && count == 0));
    CHECK(candidate == NULL || candidate->options.number > current->options.number);
    CHECK(candidate == NULL || candidate->options.number + 1 == generations->next_number);
}
