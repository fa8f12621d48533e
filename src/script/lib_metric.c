// SPDX-License-Identifier: MIT
//
// `l_metric` checks name, help, labels and bounds of a definition, and finds or makes the metric in
// the worker's counters. `add`, `set` and `observe` find the series by the values of the labels and
// change one number. `lunesse.stats()` takes a snapshot of all workers' counters, as a scrape does,
// and turns it into tables.
#include "script/lib_metric.h"

#include "base/check.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/metric.h"
#include "base/snapshot.h"
#include "base/utf8.h"
#include "script/stack.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

struct metric_box {
    struct metric *metric;
};

static int l_metric(lua_State *L);
static int l_add(lua_State *L);
static int l_set(lua_State *L);
static int l_observe(lua_State *L);
static int p_name(lua_State *L);
static void check_name(lua_State *L, int index, int at, bool has_colons);
static void check_help(lua_State *L);
static void check_metric_name(lua_State *L, const char *name, enum metric_type type);
static bool has_suffix(const char *name, const char *suffix);
static void check_labels(lua_State *L, struct metric_spec *spec);
static void check_label(lua_State *L, const struct metric_spec *spec, size_t index);
static size_t check_bounds(lua_State *L, double *bounds);
static struct metric *check_metric(lua_State *L);
static struct series *check_series(lua_State *L, struct metric *metric);
static double check_value(lua_State *L, int index);
static int l_stats(lua_State *L);
static int l_free_snapshot(lua_State *L);
static void push_metric(lua_State *L, const struct metric *metric);
static void push_series(lua_State *L, const struct metric *metric, const struct series *series);

static const char snapshot_type[] = "lunesse.snapshot";

static const luaL_Reg methods[] = {
    {"add", l_add}, {"set", l_set}, {"observe", l_observe}, {NULL, NULL}};

static const struct box_property properties[] = {{"name", p_name}, {NULL, NULL}};

const struct box_class lib_metric_class = {"Metric", methods, properties, NULL};

const luaL_Reg lib_metric_functions[] = {{"metric", l_metric}, {"stats", l_stats}, {NULL, NULL}};

/// metric(type, name, help, [labels], [bounds]) -> Metric
static int l_metric(lua_State *L)
{
    static const char *const types[] = {"counter", "gauge", "histogram", NULL};
    double bounds[METRIC_BOUNDS_MAX];
    struct metric_spec spec = {.bounds = bounds};
    spec.type = (enum metric_type)luaL_checkoption(L, 1, NULL, types);
    spec.name = luaL_checkstring(L, 2);
    spec.help = luaL_checkstring(L, 3);
    lua_settop(L, 5);
    check_metric_name(L, spec.name, spec.type);
    check_help(L);
    check_labels(L, &spec); // the names of the labels stay on the stack
    spec.bound_count = spec.type == METRIC_HISTOGRAM ? check_bounds(L, bounds) : 0;
    struct metric_box *box = lua_newuserdatauv(L, sizeof(struct metric_box), 0);
    box_set_type(L, BOX_METRIC);
    int failure = metrics_define(&counters_here->metrics, &spec, &box->metric);
    if (failure != 0) {
        return luaL_argerror(L, 2,
                             failure == -EEXIST
                                 ? "there is another metric of this name: take a new one, or "
                                   "restart the server"
                                 : "there are as many metrics as there may be");
    }
    return 1;
}

/// metric:add([difference], [label values...]), for counters and gauges.
static int l_add(lua_State *L)
{
    struct metric *metric = check_metric(L);
    luaL_argcheck(L, metric->type != METRIC_HISTOGRAM, 1, "a counter or a gauge expected");
    double difference = lua_isnoneornil(L, 2) ? 1 : check_value(L, 2);
    bool is_right = metric->type == METRIC_GAUGE || difference >= 0;
    luaL_argcheck(L, is_right, 2, "a counter only rises");
    series_add(check_series(L, metric), difference);
    return 0;
}

/// metric:set(value, [label values...]), for gauges.
static int l_set(lua_State *L)
{
    struct metric *metric = check_metric(L);
    luaL_argcheck(L, metric->type == METRIC_GAUGE, 1, "a gauge expected");
    double value = check_value(L, 2);
    series_set(check_series(L, metric), value);
    return 0;
}

/// metric:observe(value, [label values...]), for histograms.
static int l_observe(lua_State *L)
{
    struct metric *metric = check_metric(L);
    luaL_argcheck(L, metric->type == METRIC_HISTOGRAM, 1, "a histogram expected");
    double value = check_value(L, 2);
    series_observe(metric, check_series(L, metric), value);
    return 0;
}

static int p_name(lua_State *L)
{
    lua_pushstring(L, check_metric(L)->name);
    return 1;
}

static struct metric *check_metric(lua_State *L)
{
    const struct metric_box *box = check_box(L, 1, BOX_METRIC);
    return box->metric;
}

/// Checks a name by the rules of Prometheus. Names of the program's own metrics are not for
/// scripts. The suffixes of a histogram's series are refused, because they would make two metrics
/// of one name.
static void check_metric_name(lua_State *L, const char *name, enum metric_type type)
{
    static const char *const taken[] = {"lunesse_", "http_server_", "process_"};
    check_name(L, 2, 2, true);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        luaL_argcheck(L, strncmp(name, taken[i], strlen(taken[i])) != 0, 2,
                      "names that begin with lunesse_, http_server_ or process_ are the server's");
    }
    luaL_argcheck(L, has_suffix(name, "_total") == (type == METRIC_COUNTER), 2,
                  "the name of a counter, and of nothing else, ends with _total");
    bool is_part =
        has_suffix(name, "_bucket") || has_suffix(name, "_count") || has_suffix(name, "_sum");
    luaL_argcheck(L, !is_part, 2,
                  "names that end with _bucket, _count or _sum are those of a histogram's parts");
}

/// Checks the help text, which becomes part of a text in UTF-8.
static void check_help(lua_State *L)
{
    struct bytes help = check_bytes(L, 3);
    luaL_argcheck(L, help.len > 0, 3, "what the metric tells, as a sentence, expected");
    bool is_text = utf8_valid_prefix(help) == help.len && memchr(help.at, '\0', help.len) == NULL;
    luaL_argcheck(L, is_text, 3, "UTF-8 without a NUL expected");
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);
    return len >= suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

/// Checks the name at stack index `at`. Argument `index` is to blame.
static void check_name(lua_State *L, int index, int at, bool has_colons)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char digits[] = "0123456789";
    size_t len;
    const char *name = lua_tolstring(L, at, &len);
    bool is_right = len > 0 && len <= METRIC_NAME_BYTES_MAX && strchr(digits, name[0]) == NULL;
    for (size_t i = 0; i < len && is_right; i++) {
        bool is_letter = strchr(letters, name[i]) != NULL || strchr(digits, name[i]) != NULL;
        is_right = name[i] != '\0' && (is_letter || (has_colons && name[i] == ':'));
    }
    luaL_argcheck(L, is_right, index,
                  "a name is letters, digits and '_', and begins with no digit");
}

static void check_labels(lua_State *L, struct metric_spec *spec)
{
    if (lua_isnil(L, 4)) {
        return;
    }
    static_assert(METRIC_LABELS_MAX == 8, "the message says so");
    luaL_checktype(L, 4, LUA_TTABLE);
    spec->label_count = lua_rawlen(L, 4);
    luaL_argcheck(L, spec->label_count <= METRIC_LABELS_MAX, 4, "at most 8 labels");
    luaL_checkstack(L, METRIC_LABELS_MAX + LUA_MINSTACK, "labels");
    for (size_t i = 0; i < spec->label_count; i++) {
        luaL_argcheck(L, lua_rawgeti(L, 4, (lua_Integer)i + 1) == LUA_TSTRING, 4,
                      "an array of names expected");
        spec->labels[i] = lua_tostring(L, -1);
        check_label(L, spec, i);
    }
}

/// Checks the label `index`, which is on top of the stack. The labels before it are checked
/// already.
static void check_label(lua_State *L, const struct metric_spec *spec, size_t index)
{
    const char *label = spec->labels[index];
    DCHECK(index < METRIC_LABELS_MAX && lua_tostring(L, -1) == label);
    check_name(L, 4, -1, false); // the label is on top of the stack
    luaL_argcheck(L, strncmp(label, "__", 2) != 0 && strcmp(label, "le") != 0, 4,
                  "a label is not called le, nor begins with __");
    for (size_t i = 0; i < index; i++) {
        luaL_argcheck(L, strcmp(label, spec->labels[i]) != 0, 4,
                      "there are two labels of one name");
    }
}

/// Reads the bounds of a histogram. Without any it gets those of durations.
static size_t check_bounds(lua_State *L, double *bounds)
{
    static_assert(METRIC_BOUNDS_MAX == 32, "the message says so");
    static_assert((int)DURATION_BOUND_COUNT <= (int)METRIC_BOUNDS_MAX,
                  "durations make a histogram");
    if (lua_isnil(L, 5)) {
        memcpy(bounds, duration_bounds, sizeof(duration_bounds));
        return DURATION_BOUND_COUNT;
    }
    luaL_checktype(L, 5, LUA_TTABLE);
    size_t count = lua_rawlen(L, 5);
    luaL_argcheck(L, count > 0 && count <= METRIC_BOUNDS_MAX, 5, "1 to 32 bounds expected");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 5, (lua_Integer)i + 1);
        bounds[i] = check_value(L, lua_gettop(L));
        lua_pop(L, 1);
        luaL_argcheck(L, i == 0 || bounds[i] > bounds[i - 1], 5, "bounds rise");
    }
    return count;
}

static double check_value(lua_State *L, int index)
{
    double value = luaL_checknumber(L, index);
    luaL_argcheck(L, isfinite(value), index, "a finite number expected");
    return value;
}

/// Returns the series that the arguments from the third on name, one for each label.
static struct series *check_series(lua_State *L, struct metric *metric)
{
    struct bytes values[METRIC_LABELS_MAX];
    DCHECK(metric->label_count <= METRIC_LABELS_MAX);
    int count = lua_gettop(L) > 2 ? lua_gettop(L) - 2 : 0;
    if ((size_t)count != metric->label_count) {
        luaL_error(L, "%s has %d labels, and was given %d values", metric->name,
                   (int)metric->label_count, count);
    }
    for (int i = 0; i < count; i++) {
        values[i] = check_bytes(L, i + 3);
    }
    bool is_other;
    struct series *series = metric_series(metric, values, &is_other);
    if (is_other) {
        limit_met("metric_series", metric->series_max);
    }
    return series;
}

/// stats() -> table. The snapshot is a userdata with a finalizer, because pushing the table may run
/// out of memory.
static int l_stats(lua_State *L)
{
    struct metrics *snapshot = lua_newuserdatauv(L, sizeof(struct metrics), 0);
    metrics_init(snapshot);
    if (luaL_newmetatable(L, snapshot_type)) {
        lua_pushcfunction(L, l_free_snapshot);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2); // [snapshot]
    snapshot_take(snapshot);
    lua_newtable(L); // [snapshot, stats]
    for (const struct metric *metric = snapshot->first; metric != NULL; metric = metric->next) {
        push_metric(L, metric);
        lua_setfield(L, -2, metric->name);
    }
    metrics_deinit(snapshot);
    metrics_init(snapshot);
    return 1;
}

static int l_free_snapshot(lua_State *L)
{
    metrics_deinit(lua_touserdata(L, 1));
    return 0;
}

/// Pushes a metric. Without labels it is its value; with one label, a table by the label's values;
/// with several, an array of tables.
static void push_metric(lua_State *L, const struct metric *metric)
{
    STACK_BEGIN(L);
    if (metric->label_count == 0 && metric->first != NULL) {
        push_series(L, metric, metric->first);
        return;
    }
    lua_newtable(L); // [metric]
    for (const struct series *series = metric->first; series != NULL; series = series->next) {
        if (metric->label_count == 1) {
            struct bytes value = series_label(series, 0);
            lua_pushlstring(L, value.at, value.len);
            push_series(L, metric, series); // [metric, label, value]
            lua_rawset(L, -3);
            continue;
        }
        lua_newtable(L); // [metric, entry]
        for (size_t i = 0; i < metric->label_count; i++) {
            struct bytes value = series_label(series, i);
            lua_pushlstring(L, value.at, value.len);
            lua_setfield(L, -2, metric->labels[i]);
        }
        push_series(L, metric, series);
        lua_setfield(L, -2, "value");
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    DCHECK_STACK(L, 1);
}

/// Pushes a number; for a histogram { count =, sum = }.
static void push_series(lua_State *L, const struct metric *metric, const struct series *series)
{
    double value = series_value(series);
    STACK_BEGIN(L);
    if (metric->type == METRIC_HISTOGRAM) {
        lua_createtable(L, 0, 2);
        lua_pushinteger(L, (lua_Integer)series_count(metric, series));
        lua_setfield(L, -2, "count");
        lua_pushnumber(L, value);
        lua_setfield(L, -2, "sum");
    } else if (value == floor(value) && fabs(value) < 1e15) {
        lua_pushinteger(L, (lua_Integer)value);
    } else {
        lua_pushnumber(L, value);
    }
    DCHECK_STACK(L, 1);
}
