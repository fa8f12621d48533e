// SPDX-License-Identifier: MIT
//
// Where a request goes: a URL of the command line, split, checked, and good to connect to. Names
// other than "localhost" are not looked up, as everywhere in `net`. A value that holds copies.
#pragma once

#include "base/check.h"

#include <stdint.h>

enum { TARGET_HOST_MAX = 64, TARGET_AUTHORITY_MAX = 80, TARGET_PATH_MAX = 2048 };

struct client_target {
    char host[TARGET_HOST_MAX];           // as `tcp_connect_from` has it, without brackets
    char authority[TARGET_AUTHORITY_MAX]; // as the Host field has it
    char path[TARGET_PATH_MAX];           // with the query
    uint16_t port;
};

/// Fills in `target`. Returns 0, or TARGET_... of base/error.h.
MUST_USE int client_target_parse(struct client_target *target, const char *url);
