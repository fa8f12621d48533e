// SPDX-License-Identifier: MIT
//
// What the command line says: one struct with defaults, filled in by `config_parse`. Its texts
// point into argv.
#pragma once

#include "base/limits.h"
#include "base/log.h"
#include "wire/trust.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_LIMITS_MAX = 32 };

struct config_limit {
    char name[32];
    double value;
};

/// The address that the command line names, if it names one.
struct config_address {
    const char *host;      // NULL: 127.0.0.1
    const char *unix_path; // NULL: no Unix socket
    uint16_t port;
    uint16_t unix_mode; // of the Unix socket's file; 0 for what the umask leaves
    bool has_port;
    bool is_proxied; // connections begin with a PROXY header
};

struct config {
    const char *script; // file or folder
    struct config_address address;
    const char *ready_path;   // the path that says whether the server is ready; NULL for none
    const char *metrics_path; // the path of the metrics; NULL for none
    const char *admin;        // the operator's own address; NULL for none
    unsigned worker_count;
    unsigned test_clock; // scripts can move the clock, which runs so many times slower; 0: usual
    bool is_dev;
    bool is_watching; // reload when scripts change
    bool is_check;
    bool logs_query; // in the access log
    enum log_level log_level;
    enum log_format log_format;
    struct trust trust; // the proxies that are believed, over what scripts say, unless it is empty
    struct config_limit limits[CONFIG_LIMITS_MAX]; // --limit, over what scripts say
    size_t limit_count;
};

enum config_outcome {
    CONFIG_RUN,   // go on
    CONFIG_DONE,  // --help or --version has been printed: exit 0
    CONFIG_USAGE, // a mistake has been printed: exit 2
};

/// Reads the command line. Prints what --help and --version ask for, and mistakes.
enum config_outcome config_parse(struct config *config, int argument_count, char **arguments);

/// Whether the command line names an address.
static inline bool config_has_address(const struct config *config)
{
    const struct config_address *address = &config->address;
    return address->has_port || address->host != NULL || address->unix_path != NULL;
}

/// Sets what --limit says in `limits`, over whatever the scripts have set.
void config_apply_limits(const struct config *config, struct limits *limits);
