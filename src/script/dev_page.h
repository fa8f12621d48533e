// SPDX-License-Identifier: MIT
//
// What a browser is shown in development (--dev) where a script has failed: the message, the file
// and line with the code around it, the traceback. The page asks once a second whether there is
// newer code, and shows what that answers then; asking runs no handler. Owns nothing.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct lua_State;

enum { PLACE_FILE_MAX = 1024 };

/// A line of a script. `line` is 0 where there is none to show.
struct place {
    char file[PLACE_FILE_MAX];
    int line;
};

/// The place in a script that `message` is about: the one that it begins with, or else the
/// innermost of the failed coroutine `L`.
struct place place_of_failure(struct lua_State *L, struct bytes message);

/// The place that `source` names, as "scripts/clock.lua:5"; NULL names none.
struct place place_of_route(const char *source);

/// Whether the peer would rather see a page than plain text.
bool dev_page_is_wanted(const struct exchange *exchange);

/// Answers with the page for a handler of generation `number` that failed with `message`, its
/// traceback included. Nothing has been sent yet.
void dev_page_send(struct exchange *exchange, uint64_t number, struct bytes message,
                   const struct place *place);

/// Answers with the page for scripts that could not be loaded because of `why`.
void dev_page_send_broken(struct exchange *exchange, struct bytes why);

/// Whether the request is a page's question for newer code.
bool dev_page_asks(const struct exchange *exchange);

/// Answers it: 204 while the page is about generation `number`, which is the latest, and
/// else 205.
void dev_page_answer(struct exchange *exchange, uint64_t number, bool is_latest);
