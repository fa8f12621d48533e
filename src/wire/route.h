// SPDX-License-Identifier: MIT
//
// The route table: method and pattern to an opaque pointer. A pattern is a path of literal
// segments, parameters `:name` (one non-empty segment) and a final `*rest` (everything that is left
// behind the slash, which may be nothing: `/files/` matches `/files/*rest`, `/files` does not). At
// each segment a literal wins over `:name`, which wins over `*rest`; the search backs up when the
// better branch does not lead to the method. A trailing slash is significant: `/a` is not `/a/`.
// Path segments and literals are compared percent-decoded, so %63lock finds /clock, while an
// encoded slash never separates segments. Owned by the generation that registered the routes; the
// table does not own what the pointers point at. Pure but for the memory of its nodes.
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

struct route_match {
    enum route_outcome outcome;
    void *target;  // ROUTE_FOUND: what was registered; never NULL
    bool has_rest; // the last parameter is `*rest`
    size_t param_count;
    struct route_param params[ROUTE_PARAMS_MAX];
};

enum route_refusal {
    ROUTE_BAD_PATTERN = -1, // no leading slash, `*` not last, bad or too many names, NUL
    ROUTE_DOUBLE = -2,      // this method and an equal pattern (names aside) are taken; see `taken`
};

/// What stands in the way of a registration.
struct route_problem {
    void *taken;
    const char *why;
};

struct route_table *route_table_new(void);
void route_table_free(struct route_table *table);

/// Registers `target` (not NULL) for `method` and `pattern`; both are copied. Method "*" stands for
/// any method; a named method wins over it. Returns 0 or a `route_refusal`; with ROUTE_DOUBLE,
/// `problem->taken` is what stands there; with ROUTE_BAD_PATTERN, `problem->why` is a sentence,
/// lower case.
MUST_USE int route_add(struct route_table *table, struct bytes method, struct bytes pattern,
                       void *target, struct route_problem *problem);

/// Looks up a path that `url_split_target` accepted. HEAD falls back to GET when nothing is
/// registered for HEAD itself.
void route_find(const struct route_table *table, struct bytes method, struct bytes path,
                struct route_match *match);

/// Writes the methods that `path` has, as the value of Allow: "GET, HEAD, OPTIONS": sorted, HEAD
/// when there is GET, OPTIONS always; for a "*" registration all common methods. Empty when the
/// path is unknown. At most `size` bytes; returns how many. Whole methods only.
size_t route_allow(const struct route_table *table, struct bytes path, char *out, size_t size);
