// SPDX-License-Identifier: MIT
//
// The route table: which target and which middlewares a request has, by its method and its path.
//
// A pattern is a path of literal segments, parameters `:name` (one non-empty segment) and a final
// `*rest` (everything that is left behind the slash, which may be nothing: `/files/` matches
// `/files/*rest`, `/files` does not). At each segment a literal wins over `:name`, which wins over
// `*rest`; the search backs up when the better branch does not lead to the method. A trailing slash
// is significant: `/a` is not `/a/`.
//
// A prefix is literal segments and segments that begin with a colon, which stand for any one
// segment. It covers the path that it spells and every path below. Empty segments do not count,
// neither of the prefix nor of the path: `//admin` is below `/admin`, so a guard cannot be passed
// by a second slash. The middlewares of all prefixes that cover a path are its chain, whichever
// route takes the path, and also when none does.
//
// Path segments and literals are compared percent-decoded, so %63lock finds /clock, while an
// encoded slash never separates segments. The table is owned by the application that registered the
// routes; it does not own what the targets point at. Pure but for the memory of its nodes.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct route_table;

/// Most parameters (`:name` and `*rest`) of one pattern.
enum { ROUTE_PARAMS_MAX = 16 };

struct route_param {
    struct bytes name;  // points into the table
    struct bytes value; // points into the path that was matched, still percent-encoded
};

enum route_outcome {
    ROUTE_FOUND,
    ROUTE_NO_METHOD, // the path is known, but not with this method: 405
    ROUTE_NO_PATH,   // 404
};

/// A middleware of a path.
struct route_link {
    void *target; // what was registered; never NULL
    size_t order; // how many were registered before it
};

struct route_match {
    enum route_outcome outcome;
    void *target;                   // ROUTE_FOUND: what was registered; never NULL
    const struct route_link *chain; // the middlewares, in the order in which they were registered;
    size_t chain_len;               // the table's memory, valid until the next `route_find` in it
    bool has_rest;                  // the last parameter is `*rest`
    size_t param_count;
    struct route_param params[ROUTE_PARAMS_MAX];
};

/// What stands in the way of a registration.
struct route_problem {
    void *taken;     // -EEXIST: what is registered there
    const char *why; // -EINVAL: a sentence, lower case
};

struct route_table *route_table_new(void);
void route_table_free(struct route_table *table);

/// Registers `target` (not NULL) for `method` and `pattern`; both are copied. Method "*" stands for
/// any method; a named method wins over it. Returns 0; -EINVAL for a bad pattern (no leading slash,
/// `*` not last, bad or too many names, NUL); or -EEXIST when this method and an equal pattern
/// (names aside) are taken. `problem` then says more.
MUST_USE int route_add(struct route_table *table, struct bytes method, struct bytes pattern,
                       void *target, struct route_problem *problem);

/// Registers the middleware `target` (not NULL) for all paths that `prefix` covers; the empty
/// prefix covers every path. Returns 0, or -EINVAL, with `problem->why`, when the prefix has no
/// leading slash or a segment that begins with an asterisk.
MUST_USE int route_add_middleware(struct route_table *table, struct bytes prefix, void *target,
                                  struct route_problem *problem);

/// Looks up a path that `url_split_target` accepted: the chain, and what is registered for the
/// method. HEAD falls back to GET when nothing is registered for HEAD itself.
void route_find(const struct route_table *table, struct bytes method, struct bytes path,
                struct route_match *match);

/// Writes the methods that `path` has, as the value of Allow: "GET, HEAD, OPTIONS": sorted, HEAD
/// when there is GET, OPTIONS always; for a "*" registration all common methods. Empty when the
/// path is unknown. At most `size` bytes; returns how many. Whole methods only.
size_t route_allow(const struct route_table *table, struct bytes path, char *out, size_t size);
