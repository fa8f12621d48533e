// SPDX-License-Identifier: MIT
//
// A route table of any patterns and prefixes, asked for any path, beside an oracle that compares
// the path with every pattern and every prefix in turn. Input: lines; the last one is the path,
// with a letter for the method in front, and the others are patterns, also with such a letter, or
// prefixes, with a '>' in front.
#include "fuzz.h"

#include "wire/route.h"

#include <errno.h>

enum { PATTERNS_MAX = 16, SEGMENTS_MAX = 40 };

/// A registered pattern.
struct known {
    struct bytes method, pattern;
};

/// How a pattern reads a path: for each segment `a` literal, `b` parameter or `c` rest.
struct reading {
    char kinds[SEGMENTS_MAX + 1];
    struct route_param params[SEGMENTS_MAX];
    size_t param_count;
};

/// The prefixes that were registered, in order.
struct prefixes {
    struct bytes texts[PATTERNS_MAX];
    size_t count;
};

static void use(struct route_table *table, struct prefixes *prefixes, struct bytes prefix);
static void check_chain(const struct route_table *table, const struct prefixes *prefixes,
                        struct bytes path);
static bool covers(struct bytes prefix, struct bytes path);
static struct bytes next_full_segment(struct bytes *rest);
static struct bytes method_of(struct bytes *line);
static bool is_short(struct bytes text);
static bool reads(struct bytes pattern, struct bytes path, struct reading *reading);
static struct bytes next_segment(struct bytes *rest);
static bool decoded_equal(struct bytes a, struct bytes b);
static int decode(struct bytes text, size_t *at);
static int hex(char digit);
static int rank(struct bytes wanted, struct bytes method);
static void check_find(const struct route_table *table, const struct known *known, size_t count,
                       struct bytes line);
static void check_params(const struct route_match *match, const struct reading *reading);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    struct known known[PATTERNS_MAX];
    size_t count = 0;
    struct prefixes prefixes = {.count = 0};
    struct route_table *table = route_table_new();
    struct bytes line = fuzz_text(&input, '\n');
    while (input.len > 0 && count < PATTERNS_MAX) {
        if (line.len > 0 && line.at[0] == '>') {
            use(table, &prefixes, bytes_skip(line, 1));
            line = fuzz_text(&input, '\n');
            continue;
        }
        struct known *next = &known[count];
        struct route_problem problem = {0};
        next->method = method_of(&line);
        next->pattern = line;
        int result = route_add(table, next->method, line, next, &problem);
        CHECK((result == -EINVAL) == (problem.why != NULL));
        CHECK((result == -EEXIST) == (problem.taken != NULL));
        if (result == 0 && is_short(line)) {
            count++;
        } else if (result == 0) {
            break; // beyond what the oracle can hold
        }
        line = fuzz_text(&input, '\n');
    }
    if (is_short(line)) {
        check_find(table, known, count, line);
        check_chain(table, &prefixes, bytes_skip(line, line.len > 0));
    }
    route_table_free(table);
    return 0;
}

static void use(struct route_table *table, struct prefixes *prefixes, struct bytes prefix)
{
    struct route_problem problem = {0};
    struct bytes *place = &prefixes->texts[prefixes->count];
    if (prefixes->count == PATTERNS_MAX || !is_short(prefix)) {
        return;
    }
    int result = route_add_middleware(table, prefix, place, &problem);
    CHECK(result == 0 || result == -EINVAL);
    CHECK((result == 0) == (problem.why == NULL));
    if (result == 0) {
        *place = prefix;
        prefixes->count++;
    }
}

static void check_chain(const struct route_table *table, const struct prefixes *prefixes,
                        struct bytes path)
{
    struct route_match match;
    size_t len = 0;
    route_find(table, BYTES("GET"), path, &match);
    for (size_t i = 0; i < prefixes->count; i++) {
        if (covers(prefixes->texts[i], path)) {
            CHECK(len < match.chain_len);
            CHECK(match.chain[len++].target == &prefixes->texts[i]);
        }
    }
    CHECK(len == match.chain_len);
}

static bool covers(struct bytes prefix, struct bytes path)
{
    struct bytes wanted = next_full_segment(&prefix);
    while (wanted.len > 0) {
        struct bytes seen = next_full_segment(&path);
        if (seen.len == 0 || (wanted.at[0] != ':' && !decoded_equal(wanted, seen))) {
            return false;
        }
        wanted = next_full_segment(&prefix);
    }
    return true;
}

static struct bytes next_full_segment(struct bytes *rest)
{
    struct bytes segment = BYTES("");
    while (rest->len > 0 && rest->at[0] == '/' && segment.len == 0) {
        segment = next_segment(rest);
    }
    return segment;
}

static struct bytes method_of(struct bytes *line)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "*"};
    uint8_t letter = fuzz_byte(line);
    return bytes_from_string(methods[letter % 4]);
}

static bool is_short(struct bytes text)
{
    size_t slashes = 0;
    for (size_t i = 0; i < text.len; i++) {
        slashes += text.at[i] == '/';
    }
    return slashes < SEGMENTS_MAX;
}

static bool reads(struct bytes pattern, struct bytes path, struct reading *reading)
{
    size_t depth = 0;
    *reading = (struct reading){.param_count = 0};
    if (path.len > 0 && path.at[0] != '/') {
        return false;
    }
    while (pattern.len > 0 && path.len > 0) {
        struct bytes behind_slash = bytes_skip(path, 1);
        struct bytes wanted = next_segment(&pattern);
        struct bytes seen = next_segment(&path);
        char kind = wanted.len > 0 && wanted.at[0] == ':'   ? 'b'
                    : wanted.len > 0 && wanted.at[0] == '*' ? 'c'
                                                            : 'a';
        reading->kinds[depth++] = kind;
        if (kind == 'a' && !decoded_equal(wanted, seen)) {
            return false;
        }
        if (kind == 'b' && seen.len == 0) {
            return false;
        }
        if (kind != 'a') {
            struct bytes name = bytes_skip(wanted, 1);
            struct bytes value = kind == 'c' ? behind_slash : seen;
            reading->params[reading->param_count++] = (struct route_param){name, value};
        }
        if (kind == 'c') {
            return true;
        }
    }
    return pattern.len == 0 && path.len == 0;
}

static struct bytes next_segment(struct bytes *rest)
{
    size_t end = 1;
    while (end < rest->len && rest->at[end] != '/') {
        end++;
    }
    struct bytes segment = bytes_of(rest->at + 1, end - 1);
    *rest = bytes_skip(*rest, end);
    return segment;
}

static bool decoded_equal(struct bytes a, struct bytes b)
{
    size_t i = 0;
    size_t j = 0;
    while (i < a.len && j < b.len) {
        if (decode(a, &i) != decode(b, &j)) {
            return false;
        }
    }
    return i == a.len && j == b.len;
}

static int decode(struct bytes text, size_t *at)
{
    size_t i = *at;
    if (text.at[i] == '%' && i + 2 < text.len && hex(text.at[i + 1]) >= 0 &&
        hex(text.at[i + 2]) >= 0) {
        *at += 3;
        return hex(text.at[i + 1]) * 16 + hex(text.at[i + 2]);
    }
    *at += 1;
    return (unsigned char)text.at[i];
}

static int hex(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);
    return found == NULL ? -1 : (int)(found - digits) % 16;
}

/// How well a route for `method` serves `wanted`: 0 is best, 3 is not at all.
static int rank(struct bytes wanted, struct bytes method)
{
    if (bytes_equal(wanted, method)) {
        return 0;
    }
    if (bytes_equal(wanted, BYTES("HEAD")) && bytes_equal(method, BYTES("GET"))) {
        return 1;
    }
    return bytes_equal(method, BYTES("*")) ? 2 : 3;
}

static void check_find(const struct route_table *table, const struct known *known, size_t count,
                       struct bytes line)
{
    struct bytes method = method_of(&line);
    const struct known *best = NULL;
    struct reading best_reading = {.param_count = 0};
    bool is_known = false;
    for (size_t i = 0; i < count; i++) {
        struct reading reading;
        if (!reads(known[i].pattern, line, &reading)) {
            continue;
        }
        is_known = true;
        int order = best == NULL ? -1 : strcmp(reading.kinds, best_reading.kinds);
        bool is_better =
            order < 0 || (order == 0 && rank(method, known[i].method) < rank(method, best->method));
        if (rank(method, known[i].method) < 3 && is_better) {
            best = &known[i];
            best_reading = reading;
        }
    }
    struct route_match match;
    route_find(table, method, line, &match);
    CHECK(match.target == best);
    CHECK((match.outcome == ROUTE_FOUND) == (best != NULL));
    CHECK((match.outcome == ROUTE_NO_PATH) == !is_known);
    if (best != NULL) {
        check_params(&match, &best_reading);
    }
    char allow[200];
    size_t len = route_allow(table, line, allow, sizeof(allow));
    CHECK(len <= sizeof(allow));
    CHECK((len > 0) == is_known);
}

static void check_params(const struct route_match *match, const struct reading *reading)
{
    CHECK(match->param_count == reading->param_count);
    for (size_t i = 0; i < reading->param_count; i++) {
        CHECK(bytes_equal(match->params[i].name, reading->params[i].name));
        CHECK(bytes_equal(match->params[i].value, reading->params[i].value));
    }
}
