// SPDX-License-Identifier: MIT
//
// The page that a browser is shown in development (--dev) when a script has failed: the message,
// the file and line with the code around it, and the traceback. The page asks once a second whether
// there is newer code, and reloads itself when there is. That question runs no handler. Owns
// nothing.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct lua_State;

enum { PLACE_FILE_MAX = 1024 };

/// A line of a script. `line` is 0 when the location is not known.
struct location {
    char file[PLACE_FILE_MAX];
    int line;
};

/// Returns the location in a script that `message` is about: the one that the message begins with,
/// or else the innermost one of the failed coroutine `L`.
struct location location_of_failure(struct lua_State *L, struct bytes message);

/// Returns the location that `source` names, such as "scripts/clock.lua:5"; none for NULL.
struct location location_of_route(const char *source);

/// Whether the peer prefers a page to plain text.
bool dev_page_is_wanted(const struct exchange *exchange);

/// Answers with the page for a failed handler of generation `number`. `message` includes the
/// traceback. Nothing may have been sent yet.
void dev_page_send(struct exchange *exchange, uint64_t number, struct bytes message,
                   const struct location *location);

/// Answers with the page for scripts that could not be loaded because of `why`.
void dev_page_send_broken(struct exchange *exchange, struct bytes why);

/// Whether the request is the question of a page for newer code.
bool dev_page_asks(const struct exchange *exchange);

/// Answers that question: 204 if the page is about generation `number` and that is the latest one,
/// otherwise 205.
void dev_page_answer(struct exchange *exchange, uint64_t number, bool is_latest);
