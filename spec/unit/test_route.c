// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/route.h"

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
    EXPECT_INT(route_add(table, BYTES("GET"), BYTES("/%61/:other"), &marks[2], &problem),
               ROUTE_DOUBLE);
    EXPECT(problem.taken == &marks[1]);
    add(table, "POST", "/a/:other", 3);
    add(table, "*", "/a/:id", 4);
    EXPECT_INT(route_add(table, BYTES("*"), BYTES("/a/:id"), &marks[5], &problem), ROUTE_DOUBLE);
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
    EXPECT_INT(route_add(table, BYTES("GET"), pattern, &marks[0], &problem), ROUTE_BAD_PATTERN);
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
