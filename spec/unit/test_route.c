// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int marks[10];

static void add(struct route_table *table, const char *method, const char *pattern, int number)
{
    struct route_problem problem = {0};
    EXPECT_INT(route_add(table, bytes_from_string(method), bytes_from_string(pattern),
                         &marks[number], &problem),
               0);
}

/// The number that was registered for what matches; negative without a match.
static int found(const struct route_table *table, const char *method, const char *path)
{
    struct route_match match;
    route_find(table, bytes_from_string(method), bytes_from_string(path), &match);
    if (match.outcome != ROUTE_FOUND) {
        EXPECT(match.target == NULL);
        return match.outcome == ROUTE_NO_PATH ? -404 : -405;
    }
    return (int)((int *)match.target - marks);
}

static void expect_params(const struct route_table *table, const char *path, const char *wanted)
{
    struct route_match match;
    char text[200] = "";
    size_t len = 0;
    route_find(table, BYTES("GET"), bytes_from_string(path), &match);
    EXPECT_INT(match.outcome, ROUTE_FOUND);
    for (size_t i = 0; i < match.param_count; i++) {
        struct route_param *param = &match.params[i];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s=%.*s;", (int)param->name.len,
                                param->name.at, (int)param->value.len, param->value.at);
    }
    EXPECT_BYTES(bytes_of(text, len), bytes_from_string(wanted));
}

TEST(literal_paths_are_found_and_a_trailing_slash_matters)
{
    struct route_table *table = route_table_new();
    add(table, "GET", "/", 1);
    add(table, "GET", "/a", 2);
    add(table, "GET", "/a/", 3);
    add(table, "GET", "/a/b", 4);
    add(table, "GET", "/a//b", 5);
    EXPECT_INT(found(table, "GET", "/"), 1);
    EXPECT_INT(found(table, "GET", "/a"), 2);
    EXPECT_INT(found(table, "GET", "/a/"), 3);
    EXPECT_INT(found(table, "GET", "/a/b"), 4);
    EXPECT_INT(found(table, "GET", "/a//b"), 5);
    EXPECT_INT(found(table, "GET", "/a/b/"), -404);
    EXPECT_INT(found(table, "GET", "/A"), -404);
    EXPECT_INT(found(table, "GET", "//"), -404);
    EXPECT_INT(found(table, "GET", "*"), -404);
    EXPECT_INT(found(table, "GET", ""), -404);
    route_table_free(table);
}

TEST(a_table_without_routes_knows_no_path)
{
    struct route_table *table = route_table_new();
    EXPECT_INT(found(table, "GET", "/"), -404);
    EXPECT_INT(found(table, "GET", ""), -404);
    route_table_free(table);
}

TEST(many_siblings_are_all_found)
{
    struct route_table *table = route_table_new();
    char pattern[20];
    for (int i = 0; i < 500; i++) {
        snprintf(pattern, sizeof(pattern), "/r%d", i * 7919 % 500);
        add(table, "GET", pattern, i * 7919 % 500 % 10);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(pattern, sizeof(pattern), "/r%d", i);
        EXPECT_INT(found(table, "GET", pattern), i % 10);
    }
    EXPECT_INT(found(table, "GET", "/r"), -404);
    EXPECT_INT(found(table, "GET", "/r500"), -404);
    route_table_free(table);
}

TEST(parameters_take_one_segment_and_rest_takes_all)
{
    struct route_table *table = route_table_new();
    add(table, "GET", "/users/:id", 1);
    add(table, "GET", "/users/:id/posts/:post", 2);
    add(table, "GET", "/files/*path", 3);
    add(table, "GET", "/v/:version/*rest", 4);
    expect_params(table, "/users/42", "id=42;");
    expect_params(table, "/users/a%2Fb", "id=a%2Fb;");
    expect_params(table, "/users/4/posts/7", "id=4;post=7;");
    expect_params(table, "/files/a/b//c/", "path=a/b//c/;");
    expect_params(table, "/files/", "path=;");
    expect_params(table, "/v/1/x/y", "version=1;rest=x/y;");
    EXPECT_INT(found(table, "GET", "/users/"), -404);
    EXPECT_INT(found(table, "GET", "/users/1/"), -404);
    EXPECT_INT(found(table, "GET", "/users//posts/7"), -404);
    EXPECT_INT(found(table, "GET", "/files"), -404);
    route_table_free(table);
}

TEST(a_literal_wins_over_a_parameter_and_that_over_a_rest)
{
    struct route_table *table = route_table_new();
    add(table, "GET", "/*all", 1);
    add(table, "GET", "/:one", 2);
    add(table, "GET", "/exact", 3);
    EXPECT_INT(found(table, "GET", "/exact"), 3);
    EXPECT_INT(found(table, "GET", "/other"), 2);
    EXPECT_INT(found(table, "GET", "/other/more"), 1);
    EXPECT_INT(found(table, "GET", "/exact/more"), 1);
    EXPECT_INT(found(table, "GET", "/"), 1);
    route_table_free(table);
}

TEST(the_search_backs_up_when_the_better_branch_leads_nowhere)
{
    struct route_table *table = route_table_new();
    add(table, "GET", "/a/b/c", 1);
    add(table, "GET", "/a/:x/d", 2);
    add(table, "GET", "/:y/b/e", 3);
    add(table, "GET", "/a/*rest", 4);
    add(table, "POST", "/:y/b/c", 5);
    EXPECT_INT(found(table, "GET", "/a/b/c"), 1);
    EXPECT_INT(found(table, "GET", "/a/b/d"), 2);
    EXPECT_INT(found(table, "GET", "/a/b/e"), 4);
    EXPECT_INT(found(table, "GET", "/z/b/e"), 3);
    EXPECT_INT(found(table, "POST", "/a/b/c"), 5);
    expect_params(table, "/a/b/d", "x=b;");
    expect_params(table, "/a/q/r", "rest=q/r;");
    route_table_free(table);
}

TEST(paths_and_patterns_are_compared_decoded)
{
    struct route_table *table = route_table_new();
    add(table, "GET", "/clock", 1);
    add(table, "GET", "/a%2Fb", 2);
    add(table, "GET", "/a/b", 3);
    add(table, "GET", "/grüß", 4);
    add(table, "GET", "/%3Aname", 5);
    add(table, "GET", "/100%", 6);
    EXPECT_INT(found(table, "GET", "/%63lock"), 1);
    EXPECT_INT(found(table, "GET", "/cloc%6B"), 1);
    EXPECT_INT(found(table, "GET", "/cloc%6"), -404);
    EXPECT_INT(found(table, "GET", "/cl%6f"), -404);
    EXPECT_INT(found(table, "GET", "/clock%6b"), -404);
    EXPECT_INT(found(table, "GET", "/%7alock"), -404);
    EXPECT_INT(found(table, "GET", "/a%2fb"), 2);
    EXPECT_INT(found(table, "GET", "/a/b"), 3);
    EXPECT_INT(found(table, "GET", "/gr%c3%bc%C3%9F"), 4);
    EXPECT_INT(found(table, "GET", "/:name"), 5);
    EXPECT_INT(found(table, "GET", "/100%25"), 6);
    route_table_free(table);
}

TEST(a_known_path_without_the_method_is_told_from_an_unknown_path)
{
    struct route_table *table = route_table_new();
    add(table, "POST", "/a/b", 1);
    EXPECT_INT(found(table, "POST", "/a/b"), 1);
    EXPECT_INT(found(table, "GET", "/a/b"), -405);
    EXPECT_INT(found(table, "HEAD", "/a/b"), -405);
    EXPECT_INT(found(table, "post", "/a/b"), -405);
    EXPECT_INT(found(table, "POST", "/a"), -404);
    route_table_free(table);
}

TEST(head_falls_back_to_get_and_any_method_to_any)
{
    struct route_table *table = route_table_new();
    add(table, "*", "/a", 1);
    add(table, "GET", "/a", 2);
    add(table, "GET", "/b", 3);
    add(table, "HEAD", "/b", 4);
    add(table, "*", "/c", 5);
    EXPECT_INT(found(table, "GET", "/a"), 2);
    EXPECT_INT(found(table, "HEAD", "/a"), 2);
    EXPECT_INT(found(table, "PURGE", "/a"), 1);
    EXPECT_INT(found(table, "HEAD", "/b"), 4);
    EXPECT_INT(found(table, "HEAD", "/c"), 5);
    route_table_free(table);
}

TEST(a_route_is_registered_once)
{
    struct route_table *table = route_table_new();
    struct route_problem problem = {0};
    add(table, "GET", "/a/:id", 1);
    EXPECT_INT(route_add(table, BYTES("GET"), BYTES("/%61/:other"), &marks[2], &problem), -EEXIST);
    EXPECT(problem.taken == &marks[1]);
    add(table, "POST", "/a/:other", 3);
    add(table, "*", "/a/:id", 4);
    EXPECT_INT(route_add(table, BYTES("*"), BYTES("/a/:id"), &marks[5], &problem), -EEXIST);
    EXPECT(problem.taken == &marks[4]);
    EXPECT_INT(found(table, "POST", "/a/1"), 3);
    route_table_free(table);
}

TEST(each_registration_keeps_its_own_names)
{
    struct route_table *table = route_table_new();
    add(table, "POST", "/:post", 1);
    add(table, "GET", "/:get", 2);
    add(table, "GET", "/:x/y", 3);
    expect_params(table, "/1", "get=1;");
    expect_params(table, "/1/y", "x=1;");
    route_table_free(table);
}

static void expect_bad(struct bytes pattern, const char *wanted)
{
    struct route_table *table = route_table_new();
    struct route_problem problem = {.why = ""};
    EXPECT_INT(route_add(table, BYTES("GET"), pattern, &marks[0], &problem), -EINVAL);
    EXPECT_BYTES(bytes_from_string(problem.why), bytes_from_string(wanted));
    route_table_free(table);
}

TEST(a_bad_pattern_is_refused_with_a_reason)
{
    expect_bad(BYTES(""), "a pattern starts with a slash");
    expect_bad(BYTES("a"), "a pattern starts with a slash");
    expect_bad(BYTES("/:"), "a parameter has no name");
    expect_bad(BYTES("/a/:/b"), "a parameter has no name");
    expect_bad(BYTES("/*"), "a parameter has no name");
    expect_bad(BYTES("/*a/b"), "only the last segment of a pattern may start with an asterisk");
    expect_bad(BYTES("/*a/"), "only the last segment of a pattern may start with an asterisk");
    expect_bad(BYTES("/:a/:a"), "two parameters of a pattern have the same name");
    expect_bad(BYTES("/:a/*a"), "two parameters of a pattern have the same name");
    expect_bad(BYTES("/a\0b"), "a pattern does not contain NUL");
    expect_bad(BYTES("/a%00"), "a pattern does not contain NUL");
    expect_bad(BYTES("/:a\0"), "a pattern does not contain NUL");
    expect_bad(BYTES("/:a/:b/:c/:d/:e/:f/:g/:h/:i/:j/:k/:l/:m/:n/:o/:p/:q"),
               "a pattern has more than 16 parameters");
}

TEST(a_pattern_has_up_to_sixteen_parameters)
{
    struct route_table *table = route_table_new();
    add(table, "GET", "/:a/:b/:c/:d/:e/:f/:g/:h/:i/:j/:k/:l/:m/:n/:o/*p", 1);
    struct route_match match;
    route_find(table, BYTES("GET"), BYTES("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"), &match);
    EXPECT_INT(match.outcome, ROUTE_FOUND);
    EXPECT_INT(match.param_count, ROUTE_PARAMS_MAX);
    EXPECT_BYTES(match.params[14].value, BYTES("15"));
    EXPECT_BYTES(match.params[15].value, BYTES("16/17"));
    route_table_free(table);
}

static void expect_allow(const struct route_table *table, const char *path, const char *wanted)
{
    char text[100];
    size_t len = route_allow(table, bytes_from_string(path), text, sizeof(text));
    EXPECT_BYTES(bytes_of(text, len), bytes_from_string(wanted));
}

TEST(allow_lists_the_methods_of_a_path_in_order)
{
    struct route_table *table = route_table_new();
    add(table, "POST", "/a", 1);
    add(table, "GET", "/a", 2);
    add(table, "GETX", "/a", 2);
    add(table, "PATCH", "/:x", 3);
    add(table, "OPTIONS", "/b", 4);
    add(table, "*", "/c/d", 5);
    add(table, "PURGE", "/c/d", 6);
    expect_allow(table, "/a", "GET, GETX, HEAD, OPTIONS, PATCH, POST");
    expect_allow(table, "/b", "OPTIONS, PATCH");
    expect_allow(table, "/q", "OPTIONS, PATCH");
    expect_allow(table, "/c", "OPTIONS, PATCH");
    expect_allow(table, "/c/d", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PURGE, PUT");
    expect_allow(table, "/c/e", "");
    route_table_free(table);
}

TEST(allow_writes_whole_methods_only)
{
    struct route_table *table = route_table_new();
    char text[40];
    add(table, "GET", "/", 1);
    EXPECT_INT(route_allow(table, BYTES("/"), text, 2), 0);
    EXPECT_INT(route_allow(table, BYTES("/"), text, 3), 3);
    EXPECT_INT(route_allow(table, BYTES("/"), text, 8), 3);
    EXPECT_INT(route_allow(table, BYTES("/"), text, 9), 9);
    EXPECT_INT(route_allow(table, BYTES("/"), text, 17), 9);
    EXPECT_INT(route_allow(table, BYTES("/"), text, 18), 18);
    EXPECT_INT(route_allow(table, BYTES("/"), text, 0), 0);
    EXPECT_BYTES(bytes_of(text, 18), BYTES("GET, HEAD, OPTIONS"));
    route_table_free(table);
}

static void use(struct route_table *table, const char *prefix, int number)
{
    struct route_problem problem = {0};
    EXPECT_INT(route_add_middleware(table, bytes_from_string(prefix), &marks[number], &problem), 0);
}

/// The numbers of the middlewares that a path has, one digit each.
static void expect_chain(const struct route_table *table, const char *path, const char *wanted)
{
    struct route_match match;
    char digits[20];
    route_find(table, BYTES("GET"), bytes_from_string(path), &match);
    for (size_t i = 0; i < match.chain_len; i++) {
        digits[i] = (char)('0' + ((int *)match.chain[i].target - marks));
    }
    EXPECT_BYTES(bytes_of(digits, match.chain_len), bytes_from_string(wanted));
}

TEST(a_path_has_the_middlewares_of_all_prefixes_that_cover_it_in_their_order)
{
    struct route_table *table = route_table_new();
    use(table, "/admin/users", 1);
    use(table, "", 2);
    use(table, "/:any", 3);
    use(table, "/admin", 4);
    use(table, "/", 5);
    use(table, "/:one/:two", 6);
    use(table, "/admin", 7);
    expect_chain(table, "/admin/users/5", "1234567");
    expect_chain(table, "/admin/x", "234567");
    expect_chain(table, "/admin", "23457");
    expect_chain(table, "/adminx", "235");
    expect_chain(table, "/x/admin", "2356");
    expect_chain(table, "/", "25");
    expect_chain(table, "*", "25");
    expect_chain(table, "", "25");
    route_table_free(table);
}

TEST(a_prefix_covers_whatever_route_takes_the_path_and_none)
{
    struct route_table *table = route_table_new();
    add(table, "GET", "/*rest", 1);
    add(table, "POST", "/a/b", 2);
    use(table, "/a", 3);
    EXPECT_INT(found(table, "GET", "/a/b"), 1);
    EXPECT_INT(found(table, "PUT", "/a/b"), -405);
    EXPECT_INT(found(table, "PUT", "/b"), -405);
    expect_chain(table, "/a/b", "3");
    expect_chain(table, "/b", "");
    route_table_free(table);
}

TEST(prefixes_are_compared_decoded_and_empty_segments_do_not_count)
{
    struct route_table *table = route_table_new();
    use(table, "/%61dmin", 1);
    use(table, "//b//c/", 2);
    use(table, "/a%2Fb", 3);
    use(table, "/%3aname", 4);
    expect_chain(table, "/admin", "1");
    expect_chain(table, "/%61%64min/x", "1");
    expect_chain(table, "//admin", "1");
    expect_chain(table, "/b/c", "2");
    expect_chain(table, "///b/c//d", "2");
    expect_chain(table, "/b", "");
    expect_chain(table, "/a%2fb", "3");
    expect_chain(table, "/a/b", "");
    expect_chain(table, "/:name", "4");
    expect_chain(table, "/name", "");
    route_table_free(table);
}

TEST(a_bad_prefix_is_refused_with_a_reason)
{
    static const char *const bad[] = {"a", "*", "/*", "/a/*rest", "/a/*/b"};
    struct route_table *table = route_table_new();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct route_problem problem = {0};
        struct bytes prefix = bytes_from_string(bad[i]);
        EXPECT_INT(route_add_middleware(table, prefix, &marks[0], &problem), -EINVAL);
        EXPECT(problem.why != NULL);
    }
    expect_chain(table, "/a/b", "");
    route_table_free(table);
}

/// Writes up to four segments of a few letters, colons and slashes: short, so that they meet often.
static void write_path(char *out, const char *const *words, size_t word_count, unsigned *seed)
{
    size_t len = 0;
    *seed = *seed * 1103515245 + 12345;
    unsigned bits = *seed >> 8;
    for (unsigned segments = bits % 5; segments > 0; segments--) {
        *seed = *seed * 1103515245 + 12345;
        len += (size_t)snprintf(out + len, 16, "/%s", words[(*seed >> 8) % word_count]);
    }
    out[len] = '\0';
}

static bool next_word(const char **at, char word[16])
{
    *at += strspn(*at, "/");
    size_t len = strcspn(*at, "/");
    snprintf(word, 16, "%.*s", (int)len, *at);
    *at += len;
    return len > 0;
}

/// The oracle: compares segment by segment, one prefix at a time.
static bool is_covered(const char *prefix, const char *path)
{
    char wanted[16];
    char word[16];
    while (next_word(&prefix, wanted)) {
        if (!next_word(&path, word) || (wanted[0] != ':' && strcmp(wanted, word) != 0)) {
            return false;
        }
    }
    return true;
}

TEST(the_chain_of_any_path_is_what_each_prefix_by_itself_says)
{
    static const char *const prefix_words[] = {"a", "b", "ab", ":x", ":y", ""};
    static const char *const path_words[] = {"a", "b", "ab", ":x", "c", ""};
    unsigned seed = 7;
    for (int round = 0; round < 200; round++) {
        struct route_table *table = route_table_new();
        char prefixes[9][80];
        for (int i = 0; i < 9; i++) {
            write_path(prefixes[i], prefix_words, 6, &seed);
            use(table, prefixes[i], i);
        }
        for (int i = 0; i < 50; i++) {
            char path[80];
            char wanted[10] = "";
            size_t count = 0;
            write_path(path, path_words, 6, &seed);
            for (int j = 0; j < 9; j++) {
                wanted[count] = (char)('0' + j);
                count += is_covered(prefixes[j], path);
            }
            wanted[count] = '\0';
            expect_chain(table, path, wanted);
        }
        route_table_free(table);
    }
}
