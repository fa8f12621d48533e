// SPDX-License-Identifier: MIT
//
// getopt_long(3) takes the command line apart. `apply` checks the value of one option and puts it
// into the struct, and `check` then looks at what must not stand together, or is missing.
// Everything that is wrong is printed with what was expected, and ends in exit code 2.
#include "server/config.h"

#include "base/counters.h"
#include "base/error.h"
#include "hub/hub.h"
#include "script/generation.h"
#include "server/address_text.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = HUB_WORKERS_MAX, TEST_CLOCK_MAX = 1024 };

static_assert(WORKERS_MAX == 64, "the message of --workers says so");
static_assert((int)WORKERS_MAX <= (int)COUNTERS_WORKERS_MAX, "each worker counts");
static_assert(TEST_CLOCK_MAX == 1024, "the message of --test-clock says so");
static_assert(ADDRESS_TEXT_MAX == 108, "the message of --unix says so");

enum option_id {
    OPTION_HOST = 256,
    OPTION_PORT,
    OPTION_UNIX,
    OPTION_UNIX_MODE,
    OPTION_DEV,
    OPTION_WATCH,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_LOG_QUERY,
    OPTION_LIMIT,
    OPTION_WORKERS,
    OPTION_READY_PATH,
    OPTION_METRICS,
    OPTION_ADMIN,
    OPTION_TRUST_PROXY,
    OPTION_PROXY_PROTOCOL,
    OPTION_CHECK,
    OPTION_TEST_CLOCK,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option options[] = {
    {"host", required_argument, NULL, OPTION_HOST},
    {"port", required_argument, NULL, OPTION_PORT},
    {"unix", required_argument, NULL, OPTION_UNIX},
    {"unix-mode", required_argument, NULL, OPTION_UNIX_MODE},
    {"dev", no_argument, NULL, OPTION_DEV},
    {"watch", no_argument, NULL, OPTION_WATCH},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"log-query", no_argument, NULL, OPTION_LOG_QUERY},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"ready-path", required_argument, NULL, OPTION_READY_PATH},
    {"metrics", required_argument, NULL, OPTION_METRICS},
    {"admin", required_argument, NULL, OPTION_ADMIN},
    {"trust-proxy", required_argument, NULL, OPTION_TRUST_PROXY},
    {"proxy-protocol", no_argument, NULL, OPTION_PROXY_PROTOCOL},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"test-clock", optional_argument, NULL, OPTION_TEST_CLOCK},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static_assert(sizeof(options) / sizeof(options[0]) - 1 == OPTION_HELP - OPTION_HOST + 1,
              "each option has a row");

static const char help[] =
    "usage: lunesse [options] SCRIPT|FOLDER\n"
    "       lunesse bench SCENARIO URL [options]\n"
    "       lunesse test [FOLDER] [options]\n"
    "       lunesse new NAME [--from chat|relay|countdown]\n"
    "\n"
    "Serves the routes of a Lua script, or of all *.lua files of a folder, in name order.\n"
    "\n"
    "  --host ADDRESS       listen on this address (127.0.0.1)\n"
    "  --port PORT          listen on this port (3000); 0 picks a free one\n"
    "  --unix PATH          listen on a Unix socket\n"
    "  --unix-mode MODE     who may connect to it, as for chmod: 660 (as the umask leaves it)\n"
    "  --workers N          threads, each with a Lua state of its own (1); auto: one a processor\n"
    "  --limit NAME=VALUE   set a limit; durations in seconds\n"
    "  --ready-path PATH    answer 200 on this path, and 503 once the server is stopping\n"
    "  --metrics PATH       answer with the server's metrics on this path, for Prometheus\n"
    "  --admin ADDRESS      tell the metrics on an address of its own: unix:PATH or HOST:PORT\n"
    "  --trust-proxy LIST   believe what proxies at these addresses say of clients: "
    "10.0.0.0/8,unix\n"
    "  --proxy-protocol     connections begin with a PROXY header (version 1 or 2) of a balancer\n"
    "  --dev                development: --watch, tracebacks in error answers, debug log\n"
    "  --watch              load the scripts anew when they change; so does SIGHUP\n"
    "  --check              load the scripts, print the routes, exit\n"
    "  --log-level LEVEL    debug, info, warn, error or silent (info)\n"
    "  --log-format FORMAT  text or json (text)\n"
    "  --log-query          show the query of a request in the access log\n"
    "  --version            print the version\n"
    "  --help               print this\n"
    "\n"
    "Addresses on the command line take the place of the scripts' own server:listen. So do\n"
    "sockets that a service manager passes (LISTEN_FDS).\n"
    "A load generator comes with it: lunesse bench --help. A test kit, too: lunesse test --help;\n"
    "--test-path prints where busted finds it.\n";

static int apply(struct config *config, int option, const char *value);
static int apply_port(struct config *config, const char *value);
static int apply_unix(struct config *config, const char *value);
static int apply_unix_mode(struct config *config, const char *value);
static int apply_workers(struct config *config, const char *value);
static int apply_test_clock(struct config *config, const char *value);
static bool parse_number(const char *text, unsigned max, unsigned *number);
static int apply_log_format(struct config *config, const char *value);
static int check_admin(const char *value);
static int check_path(const char *option, const char *value);
static int apply_trust(struct config *config, const char *value);
static int apply_limit(struct config *config, const char *value);
static int bad_limit(const char *name, const char *value, int refusal);
static int complain(const char *option, const char *value, const char *wanted);
static bool is_prefix(const char *argument);
static int complain_of_option(int option, char **arguments);
static enum config_outcome check(struct config *config, int count, char **names);
static void check_ready(const struct config *config);

enum config_outcome config_parse(struct config *config, int argument_count, char **arguments)
{
    *config = (struct config){.log_level = LOG_INFO, .log_format = LOG_TEXT, .worker_count = 1};
    int option;
    optind = 0; // from the beginning, also when another command line was read before
    opterr = 0; // mistakes are printed below, in the format of the log, which may be named last
    while ((option = getopt_long(argument_count, arguments, "-", options, NULL)) != -1) {
        if (option == OPTION_LOG_FORMAT && strcmp(optarg, "json") == 0) {
            log_configure(LOG_INFO, LOG_JSON);
        }
    }
    optind = 0;
    while ((option = getopt_long(argument_count, arguments, ":", options, NULL)) != -1) {
        if (option == OPTION_HELP) {
            fputs(help, stdout);
            return CONFIG_DONE;
        }
        if (option == OPTION_VERSION) {
            puts("lunesse " LUNESSE_VERSION);
            return CONFIG_DONE;
        }
        bool is_wrong = option == '?' || option == ':';
        if (is_wrong ? complain_of_option(option, arguments) : apply(config, option, optarg)) {
            return CONFIG_USAGE;
        }
    }
    log_configure(config->log_level, config->log_format);
    if (config->is_dev) {
        log_show_lines();
    }
    return check(config, argument_count - optind, arguments + optind);
}

void config_apply_limits(const struct config *config, struct limits *limits)
{
    for (size_t i = 0; i < config->limit_count; i++) {
        IGNORE(limits_set(limits, config->limits[i].name, config->limits[i].value)); // was checked
    }
}

static enum config_outcome check(struct config *config, int count, char **names)
{
    if (config->address.unix_path != NULL &&
        (config->address.host != NULL || config->address.has_port)) {
        log_complain("--unix is an address by itself: leave out --host and --port");
        return CONFIG_USAGE;
    }
    if (config->address.unix_mode != 0 && config->address.unix_path == NULL) {
        log_complain("--unix-mode is the mode of a Unix socket: name it with --unix");
        return CONFIG_USAGE;
    }
    if (count != 1) {
        log_complain("%s; see lunesse --help", count == 0
                                                   ? "name a script or a folder of scripts"
                                                   : "name one script, or one folder of scripts");
        return CONFIG_USAGE;
    }
    config->script = names[0];
    DEBUG_CALL(check_ready(config));
    return CONFIG_RUN;
}

/// What the server takes for granted of a command line that is right.
static void check_ready(const struct config *config)
{
    CHECK(config->script != NULL);
    CHECK(config->worker_count >= 1 && config->worker_count <= WORKERS_MAX);
    CHECK(config->test_clock <= TEST_CLOCK_MAX);
    CHECK(config->limit_count <= CONFIG_LIMITS_MAX);
    CHECK(config->ready_path == NULL || config->ready_path[0] == '/');
    CHECK(config->metrics_path == NULL || config->metrics_path[0] == '/');
    CHECK(config->address.unix_path == NULL || !config->address.has_port);
}

static int apply(struct config *config, int option, const char *value)
{
    switch ((enum option_id)option) {
    case OPTION_HOST:
        config->address.host = value;
        return 0;
    case OPTION_PORT:
        return apply_port(config, value);
    case OPTION_UNIX:
        return apply_unix(config, value);
    case OPTION_UNIX_MODE:
        return apply_unix_mode(config, value);
    case OPTION_DEV:
        config->is_dev = true;
        config->is_watching = true;
        config->log_level = LOG_DEBUG;
        return 0;
    case OPTION_WATCH:
        config->is_watching = true;
        return 0;
    case OPTION_LOG_LEVEL:
        return log_level_parse(value, &config->log_level)
                   ? 0
                   : complain("--log-level", value, "debug, info, warn, error or silent");
    case OPTION_LOG_FORMAT:
        return apply_log_format(config, value);
    case OPTION_LOG_QUERY:
        config->logs_query = true;
        return 0;
    case OPTION_LIMIT:
        return apply_limit(config, value);
    case OPTION_WORKERS:
        return apply_workers(config, value);
    case OPTION_READY_PATH:
        config->ready_path = value;
        return check_path("--ready-path", value);
    case OPTION_METRICS:
        config->metrics_path = value;
        return check_path("--metrics", value);
    case OPTION_ADMIN:
        config->admin = value;
        return check_admin(value);
    case OPTION_TRUST_PROXY:
        return apply_trust(config, value);
    case OPTION_PROXY_PROTOCOL:
        config->address.is_proxied = true;
        return 0;
    case OPTION_CHECK:
        config->is_check = true;
        return 0;
    case OPTION_TEST_CLOCK:
        config->test_clock = 1;
        return value == NULL ? 0 : apply_test_clock(config, value);
    case OPTION_VERSION:
    case OPTION_HELP:
        break;
    }
    UNREACHABLE();
}

static int apply_port(struct config *config, const char *value)
{
    unsigned port = 0;
    if (!parse_number(value, UINT16_MAX, &port)) {
        return complain("--port", value, "a number between 0 and 65535");
    }
    config->address.port = (uint16_t)port;
    config->address.has_port = true;
    return 0;
}

static int apply_unix(struct config *config, const char *value)
{
    size_t len = strlen(value);
    config->address.unix_path = value;
    bool is_path = len > 0 && len < ADDRESS_TEXT_MAX;
    return is_path ? 0 : complain("--unix", value, "a path of 1 to 107 characters");
}

/// A mode without read and write for the owner is refused, because then not even the user of the
/// server could connect to the socket: such a mode is a slip of the keyboard.
static int apply_unix_mode(struct config *config, const char *value)
{
    char *end = NULL;
    size_t len = strlen(value);
    unsigned long mode = strtoul(value, &end, 8);
    if (len < 3 || len > 4 || *value < '0' || *value > '7' || *end != '\0' || mode > 0777 ||
        (mode & 0600) != 0600) {
        return complain("--unix-mode", value, "octal digits between 600 and 777, such as 660,");
    }
    config->address.unix_mode = (uint16_t)mode;
    return 0;
}

static int apply_workers(struct config *config, const char *value)
{
    cpu_set_t processors;
    if (strcmp(value, "auto") == 0) {
        bool is_known = sched_getaffinity(0, sizeof(processors), &processors) == 0;
        int count = is_known ? CPU_COUNT(&processors) : 1;
        config->worker_count = count > WORKERS_MAX ? WORKERS_MAX : (unsigned)count;
        return 0;
    }
    if (!parse_number(value, WORKERS_MAX, &config->worker_count) || config->worker_count == 0) {
        return complain("--workers", value, "a number between 1 and 64, or auto,");
    }
    return 0;
}

static int apply_test_clock(struct config *config, const char *value)
{
    if (!parse_number(value, TEST_CLOCK_MAX, &config->test_clock) || config->test_clock == 0) {
        return complain("--test-clock", value, "a number between 1 and 1024");
    }
    return 0;
}

static bool parse_number(const char *text, unsigned max, unsigned *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *number = (unsigned)value;
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && value <= max;
}

static int apply_log_format(struct config *config, const char *value)
{
    if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0) {
        return complain("--log-format", value, "text or json");
    }
    config->log_format = *value == 't' ? LOG_TEXT : LOG_JSON;
    return 0;
}

static int check_admin(const char *value)
{
    struct address address;
    bool is_address = address_text_parse(value, &address);
    return is_address ? 0 : complain("--admin", value, "unix:PATH or HOST:PORT");
}

static int check_path(const char *option, const char *value)
{
    for (const char *at = value; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~' || *at == '?' || *at == '#') {
            return complain(option, value, "a path without query and blanks");
        }
    }
    return *value == '/' ? 0 : complain(option, value, "a path that begins with a slash");
}

static int apply_trust(struct config *config, const char *value)
{
    struct bytes bad;
    int failure = trust_add_list(&config->trust, bytes_from_string(value), &bad);
    if (failure != 0) {
        log_complain("--trust-proxy '%.*s': %s", (int)bad.len, bad.at, error_text(failure));
    }
    return failure;
}

static int apply_limit(struct config *config, const char *value)
{
    struct limits trial = limits_default();
    const char *equals = strchr(value, '=');
    size_t name_len = equals == NULL ? 0 : (size_t)(equals - value);
    struct config_limit *limit = &config->limits[config->limit_count];
    if (name_len == 0 || name_len >= sizeof(limit->name) ||
        config->limit_count == CONFIG_LIMITS_MAX) {
        return complain("--limit", value, "name=value");
    }
    memcpy(limit->name, value, name_len);
    limit->name[name_len] = '\0';
    char *end = NULL;
    limit->value = strtod(equals + 1, &end);
    int refusal =
        end == equals + 1 || *end != '\0' ? -EINVAL : limits_set(&trial, limit->name, limit->value);
    if (refusal != 0) {
        return bad_limit(limit->name, equals + 1, refusal);
    }
    config->limit_count++;
    return 0;
}

static int bad_limit(const char *name, const char *value, int refusal)
{
    DCHECK(refusal == -EINVAL || refusal == -ENOENT);
    const char *unit = limits_unit(name);
    if (refusal == -EINVAL && unit != NULL) {
        log_complain("--limit %s=%s: %s expected", name, value, unit);
        return -EINVAL;
    }
    char names[1024] = "";
    size_t len = 0;
    for (size_t i = 0; limits_name(i) != NULL && len < sizeof(names); i++) {
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s %s", i == 0 ? "" : ",",
                                limits_name(i));
    }
    log_complain("--limit %s: no such limit; there are%s", name, names);
    return -EINVAL;
}

static int complain(const char *option, const char *value, const char *wanted)
{
    log_complain("%s '%s': %s expected", option, value, wanted);
    return -EINVAL;
}

/// Whether `argument`, of the command line, is how a long option begins.
static bool is_prefix(const char *argument)
{
    const char *name = argument + strlen("--");
    for (const struct option *option = options; option->name != NULL; option++) {
        if (strncmp(option->name, name, strcspn(name, "=")) == 0) {
            return true;
        }
    }
    return false;
}

/// After a long option that getopt could not take, `optind` is behind it; of a short option getopt
/// gives the letter.
static int complain_of_option(int option, char **arguments)
{
    char letter[] = {'-', (char)optopt, '\0'};
    bool is_short = optopt != 0 && optopt < OPTION_HOST;
    const char *what = option == ':'                                   ? "a value expected"
                       : optopt >= OPTION_HOST                         ? "no value expected"
                       : !is_short && is_prefix(arguments[optind - 1]) ? "short for several options"
                                                                       : "no such option";
    log_complain("%s: %s; see lunesse --help", is_short ? letter : arguments[optind - 1], what);
    return -EINVAL;
}
