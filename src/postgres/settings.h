// SPDX-License-Identifier: MIT
//
// What libpq needs for a connection: the URL of a script, the defaults of the environment (PGHOST,
// PGPASSWORD and so on), and the addresses of all hosts. libpq would look names up itself, and hold
// up the loop; so they are looked up before, one host after the other (net/names.h), and each
// address is handed over beside the name that certificates are judged by. libpq tries them in
// turn.
//
// A member of the link that connects.
#pragma once

#include "base/buf.h"
#include "net/names.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct settings;

/// `failure` is 0, or says why no host has an address: see `name_query_fn`. May free the settings.
typedef void (*settings_fn)(struct settings *settings, int failure);

struct settings {
    settings_fn on_found; // the owner's
    struct name_query _query;
    struct mailbox *_mailbox;
    PQconninfoOption *_options;  // of the URL
    PQconninfoOption *_defaults; // of the environment
    const char *_host_rest;      // the hosts that are still to be looked up; NULL for none
    const char *_port_rest;
    char *_host; // that is looked up now, and its port
    char *_port;
    struct buf _hosts; // the lists for libpq: each ends with a comma
    struct buf _addresses;
    struct buf _ports;
    int _failure; // of the last name
    bool _is_complete;
};

/// Keywords and values for PQconnectStartParams: each list ends with NULL.
struct settings_lists {
    const char *keywords[64];
    const char *values[64];
};

/// What is wrong with the URL, which is NULL for the defaults alone. Returns 0, or -EINVAL with
/// `*why`, to be freed with `mem_free`.
MUST_USE int settings_check(const char *url, char **why);

/// Begins to look up the hosts of `url`, which was checked. `on_found` is called later, unless no
/// host has to be looked up: `settings_is_ready` tells. Returns 0 or -ENOMEM. The settings were
/// zeroed before.
MUST_USE int settings_start(struct settings *settings, struct mailbox *mailbox, const char *url);

/// Whether all names are looked up, and `settings_list` may be called.
bool settings_is_ready(const struct settings *settings);

/// Fills in the lists. They live until `settings_stop`.
void settings_list(struct settings *settings, struct settings_lists *lists);

/// Gives up what was acquired. Idempotent.
void settings_stop(struct settings *settings);
