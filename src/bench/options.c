// SPDX-License-Identifier: MIT
//
// Words are read from left to right (`parse_word`): an option is looked up in `rules`, which say
// where its value goes, in which bounds, and for which scenarios. The defaults of the scenario were
// put in place before. At the end `check` looks at what must be there together, and parses the
// URLs.
#include "bench/options.h"

#include "base/bytes.h"
#include "base/error.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum kind { KIND_WHOLE, KIND_REAL, KIND_TEXT, KIND_FLAG, KIND_HEADER, KIND_HELP };

enum {
    FANOUT = 1 << SCENARIO_FANOUT,
    FIREHOSE = 1 << SCENARIO_FIREHOSE,
    IDLE = 1 << SCENARIO_IDLE,
    CHURN = 1 << SCENARIO_CHURN,
    ALL = FANOUT | FIREHOSE | IDLE | CHURN,
};

/// One option: where its value goes, and which scenarios have it.
struct rule {
    const char *name;
    const char *wanted; // what is expected, for messages
    size_t offset;
    double min;
    double max;
    enum kind kind;
    unsigned scenarios;
};

#define AT(member) offsetof(struct options, member)

static const struct rule rules[] = {
    {"readers", "1 to 1000000", AT(readers.count), 1, 1e6, KIND_WHOLE, FANOUT | FIREHOSE | IDLE},
    {"stalled", "0 to 1000000", AT(readers.stalled_count), 0, 1e6, KIND_WHOLE, FANOUT},
    {"publishers", "1 to 1000", AT(events.publisher_count), 1, 1000, KIND_WHOLE, FANOUT},
    {"size", "16 to 16777216 bytes", AT(events.size_bytes), 16, 1 << 24, KIND_WHOLE, FANOUT | IDLE},
    {"events", "1 to 1000000000", AT(events.count), 1, 1e9, KIND_WHOLE, FANOUT | IDLE},
    {"rate", "0 to 10000000 events a second", AT(events.rate), 0, 1e7, KIND_REAL, FANOUT},
    {"publish", "a URL", AT(requests.publish_url), 0, 0, KIND_TEXT, FANOUT | IDLE},
    {"concurrency", "1 to 100000", AT(readers.concurrency), 1, 1e5, KIND_WHOLE, ALL},
    {"seconds", "0.1 to 86400", AT(times.seconds), 0.1, 86400, KIND_REAL, ALL},
    {"warmup", "0 to 3600 seconds", AT(times.warmup_seconds), 0, 3600, KIND_REAL, ALL},
    {"settle", "0 to 3600 seconds", AT(times.settle_seconds), 0, 3600, KIND_REAL, IDLE},
    {"pid", "the id of a process", AT(pid), 1, 1 << 30, KIND_WHOLE, ALL},
    {"header", "'Name: value'", 0, 0, 0, KIND_HEADER, ALL},
    {"first-bytes", NULL, AT(readers.want_first_bytes), 0, 0, KIND_FLAG, CHURN},
    {"json", NULL, AT(is_json), 0, 0, KIND_FLAG, ALL},
    {"help", NULL, 0, 0, 0, KIND_HELP, ALL},
};

static const char *const scenario_names[SCENARIO_COUNT] = {"fanout", "firehose", "idle", "churn"};

static const struct options defaults[SCENARIO_COUNT] = {
    [SCENARIO_FANOUT] = {.readers.count = 1000, .readers.concurrency = 100},
    [SCENARIO_FIREHOSE] = {.readers.count = 1, .readers.concurrency = 100},
    [SCENARIO_IDLE] = {.readers.count = 10000, .readers.concurrency = 100, .events.count = 5},
    [SCENARIO_CHURN] = {.readers.concurrency = 32},
};

static const char help[] =
    "usage: lunesse bench fanout URL --publish URL [options]\n"
    "       lunesse bench firehose URL [options]\n"
    "       lunesse bench idle URL [options]\n"
    "       lunesse bench churn URL [options]\n"
    "\n"
    "Measures a server of event streams, any that speaks HTTP/1.1, and checks what it delivers.\n"
    "\n"
    "  fanout    each event that is POSTed has to reach every reader, once and in order\n"
    "  firehose  how many events a stream delivers that never pauses\n"
    "  idle      how fast many streams open, and what they cost while nothing happens\n"
    "  churn     streams that open, get their first event and close, again and again\n"
    "\n"
    "All scenarios:\n"
    "  --seconds S            length of the measurement (10)\n"
    "  --warmup S             the same before it, not measured (1)\n"
    "  --concurrency N        connections being made at a time (100; churn 32)\n"
    "  --pid PID              the server's process, for its CPU time and memory\n"
    "  --header 'Name: value' a field for every request; may be repeated\n"
    "  --json                 one JSON object on standard output, and nothing else\n"
    "\n"
    "fanout, firehose, idle:\n"
    "  --readers N            streams (1000; firehose 1; idle 10000)\n"
    "\n"
    "fanout, idle:\n"
    "  --publish URL          where events are POSTed, as text/plain\n"
    "  --events N             how many events (fanout: as the time allows; idle: 5)\n"
    "  --size BYTES           data of an event (64)\n"
    "\n"
    "fanout:\n"
    "  --publishers N         connections that POST (1)\n"
    "  --rate EVENTS          a second, over all publishers; 0 posts each event when the last one\n"
    "                         of its publisher has reached every reader (0)\n"
    "  --stalled N            more readers, which never read and are left out of all figures (0)\n"
    "\n"
    "idle:\n"
    "  --settle S             pause before memory is measured (3)\n"
    "\n"
    "churn:\n"
    "  --first-bytes          close at the first bytes of the body, not at the first event\n"
    "\n"
    "The address in a URL is a literal one, or localhost. Ctrl-C ends a measurement early.\n"
    "Exit code: 0, 1 when the measurement failed (events lost, doubled or out of order; "
    "connections\n"
    "refused or lost), 2 for a mistake on the command line.\n";

static bool find_scenario(struct options *options, int argument_count, char **arguments);
static enum options_outcome parse_word(struct options *options, const char *word, const char *next,
                                       int *used);
static enum options_outcome take_url(struct options *options, const char *word);
static const struct rule *find_rule(struct bytes name);
static enum options_outcome apply(struct options *options, const struct rule *rule,
                                  const char *value);
static bool apply_number(struct options *options, const struct rule *rule, const char *value);
static bool apply_header(struct options *options, const char *value);
static enum options_outcome check(struct options *options);
static enum options_outcome check_url(struct client_target *target, const char *url);
static enum options_outcome refuse(const char *what, const char *value, const char *wanted);

enum options_outcome options_parse(struct options *options, int argument_count, char **arguments)
{
    bool has_scenario = find_scenario(options, argument_count, arguments);
    for (int i = has_scenario ? 2 : 1, used = 0; i < argument_count; i += used) {
        const char *next = i + 1 < argument_count ? arguments[i + 1] : NULL;
        if (!has_scenario && strcmp(arguments[i], "--help") != 0) {
            break;
        }
        enum options_outcome outcome = parse_word(options, arguments[i], next, &used);
        if (outcome != OPTIONS_RUN) {
            return outcome;
        }
    }
    if (!has_scenario) {
        return refuse("the first word", argument_count > 1 ? arguments[1] : "",
                      "fanout, firehose, idle or churn");
    }
    return check(options);
}

const char *options_scenario_name(enum scenario_kind scenario)
{
    CHECK((int)scenario < SCENARIO_COUNT);
    return scenario_names[scenario];
}

static bool find_scenario(struct options *options, int argument_count, char **arguments)
{
    for (int i = 0; i < SCENARIO_COUNT; i++) {
        if (argument_count > 1 && strcmp(arguments[1], scenario_names[i]) == 0) {
            *options = defaults[i];
            options->scenario = (enum scenario_kind)i;
            options->events.publisher_count = 1;
            options->events.size_bytes = 64;
            options->times.seconds = 10;
            options->times.warmup_seconds = 1;
            options->times.settle_seconds = 3;
            return true;
        }
    }
    return false;
}

/// `--name value`, `--name=value` or the URL. `used` becomes how many words that were.
static enum options_outcome parse_word(struct options *options, const char *word, const char *next,
                                       int *used)
{
    *used = 1;
    if (strncmp(word, "--", 2) != 0) {
        return take_url(options, word);
    }
    struct bytes name = bytes_of(word + 2, strcspn(word + 2, "="));
    const struct rule *rule = find_rule(name);
    if (rule == NULL) {
        return refuse("unknown option", word, NULL);
    }
    if (rule->kind == KIND_HELP) {
        fputs(help, stdout);
        return OPTIONS_DONE;
    }
    if ((rule->scenarios & 1U << options->scenario) == 0) {
        char what[32];
        snprintf(what, sizeof(what), "no option of %s", scenario_names[options->scenario]);
        return refuse(what, word, NULL);
    }
    const char *value = name.at[name.len] == '=' ? name.at + name.len + 1 : NULL;
    if (rule->kind == KIND_FLAG) {
        return value == NULL ? apply(options, rule, "")
                             : refuse("no value", word, "the option alone");
    }
    if (value == NULL) {
        value = next;
        *used = 2;
    }
    return value == NULL ? refuse("no value for", word, rule->wanted) : apply(options, rule, value);
}

static enum options_outcome take_url(struct options *options, const char *word)
{
    if (options->requests.url != NULL) {
        return refuse("one URL too many", word, NULL);
    }
    options->requests.url = word;
    return OPTIONS_RUN;
}

static const struct rule *find_rule(struct bytes name)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (bytes_equal(name, bytes_from_string(rules[i].name))) {
            return &rules[i];
        }
    }
    return NULL;
}

static enum options_outcome apply(struct options *options, const struct rule *rule,
                                  const char *value)
{
    void *place = (char *)options + rule->offset;
    bool is_good = true;
    switch (rule->kind) {
    case KIND_WHOLE:
    case KIND_REAL:
        is_good = apply_number(options, rule, value);
        break;
    case KIND_TEXT:
        *(const char **)place = value;
        break;
    case KIND_FLAG:
        *(bool *)place = true;
        break;
    case KIND_HEADER:
        is_good = apply_header(options, value);
        break;
    case KIND_HELP:
        UNREACHABLE();
    }
    char what[32];
    snprintf(what, sizeof(what), "--%s", rule->name);
    return is_good ? OPTIONS_RUN : refuse(what, value, rule->wanted);
}

static bool apply_number(struct options *options, const struct rule *rule, const char *value)
{
    char *end = NULL;
    void *place = (char *)options + rule->offset;
    DCHECK(rule->max > rule->min);
    if (*value < '0' || *value > '9' || strspn(value, "0123456789.") != strlen(value)) {
        return false;
    }
    double number = strtod(value, &end);
    if (*end != '\0' || number < rule->min || number > rule->max) {
        return false;
    }
    if (rule->kind == KIND_REAL) {
        *(double *)place = number;
        return true;
    }
    *(uint64_t *)place = (uint64_t)number;
    return strchr(value, '.') == NULL;
}

static bool apply_header(struct options *options, const char *value)
{
    size_t name_len = strcspn(value, ": \t");
    if (name_len == 0 || value[name_len] != ':' || strpbrk(value, "\r\n") != NULL ||
        strlen(value) > OPTIONS_HEADER_BYTES ||
        options->requests.header_count == OPTIONS_HEADERS_MAX) {
        return false;
    }
    options->requests.headers[options->requests.header_count++] = value;
    return true;
}

static enum options_outcome check(struct options *options)
{
    if (options->requests.url == NULL) {
        return refuse("the stream's URL", "", "http://127.0.0.1:3000/events, or another one,");
    }
    if (options->scenario == SCENARIO_FANOUT && options->requests.publish_url == NULL) {
        return refuse("fanout without", "--publish URL", "where to POST events");
    }
    if (options->pid != 0 && kill((pid_t)options->pid, 0) != 0 && errno == ESRCH) {
        char pid[24];
        snprintf(pid, sizeof(pid), "%llu", (unsigned long long)options->pid);
        return refuse("--pid", pid, "the id of a process that runs");
    }
    enum options_outcome outcome = check_url(&options->requests.stream, options->requests.url);
    if (outcome == OPTIONS_RUN && options->requests.publish_url != NULL) {
        outcome = check_url(&options->requests.publish, options->requests.publish_url);
    }
    return outcome;
}

static enum options_outcome check_url(struct client_target *target, const char *url)
{
    int failure = client_target_parse(target, url);
    if (failure != 0) {
        fprintf(stderr, "lunesse bench: '%s': %s\n", url, error_text(failure));
        return OPTIONS_USAGE;
    }
    return OPTIONS_RUN;
}

/// `wanted` may be NULL.
static enum options_outcome refuse(const char *what, const char *value, const char *wanted)
{
    fprintf(stderr, "lunesse bench: %s '%s'%s%s%s; see lunesse bench --help\n", what, value,
            wanted == NULL ? "" : ": ", wanted == NULL ? "" : wanted,
            wanted == NULL ? "" : " expected");
    return OPTIONS_USAGE;
}
