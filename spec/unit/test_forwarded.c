// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/error.h"
#include "wire/forwarded.h"

/// A request's fields, as name and value in turn, up to NULL.
typedef const char *fields[12];

/// What is said of a request through proxies at `trusted`.
struct said {
    struct trust trust;
    struct forwarded forwarded;
    char client[FORWARDED_CLIENT_MAX];
    struct bytes ip;
    struct bytes host;
    bool is_https;
};

static const struct said *say(const char *trusted, const fields said_fields)
{
    static struct said said;
    struct bytes bad;
    said.trust = (struct trust){0};
    EXPECT_INT(trust_add_list(&said.trust, bytes_from_string(trusted), &bad), 0);
    forwarded_init(&said.forwarded, &said.trust);
    for (size_t i = 0; said_fields[i] != NULL; i += 2) {
        forwarded_count(&said.forwarded, bytes_from_string(said_fields[i]),
                        bytes_from_string(said_fields[i + 1]));
    }
    for (size_t i = 0; said_fields[i] != NULL; i += 2) {
        forwarded_take(&said.forwarded, bytes_from_string(said_fields[i]),
                       bytes_from_string(said_fields[i + 1]));
    }
    said.ip = bytes_of(said.client, forwarded_client(&said.forwarded, said.client));
    said.host = forwarded_host(&said.forwarded);
    said.is_https = forwarded_is_https(&said.forwarded);
    return &said;
}

#define EXPECT_CLIENT(trusted, wanted, ...)                                                        \
    EXPECT_BYTES(say(trusted, (fields){__VA_ARGS__})->ip, BYTES(wanted))

TEST(the_client_is_the_first_from_the_right_that_is_no_trusted_proxy)
{
    EXPECT_CLIENT("10.0.0.0/8", "", NULL);
    EXPECT_CLIENT("10.0.0.0/8", "203.0.113.7", "X-Forwarded-For", "203.0.113.7");
    EXPECT_CLIENT("10.0.0.0/8", "203.0.113.7", "X-Forwarded-For", "8.8.8.8, 203.0.113.7,10.0.0.3");
    EXPECT_CLIENT("10.0.0.0/8", "203.0.113.7", "X-Forwarded-For", "10.9.9.9, 203.0.113.7");
    EXPECT_CLIENT("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For", "10.0.0.1, 10.0.0.2");
    EXPECT_CLIENT("10.0.0.0/8", "203.0.113.7", "x-forwarded-for", "8.8.8.8", "X-FORWARDED-FOR",
                  "203.0.113.7", "X-Forwarded-For", "10.0.0.3");
    EXPECT_CLIENT("10.0.0.0/8,unix", "203.0.113.7", "X-Forwarded-For", "203.0.113.7, unix:");
    EXPECT_CLIENT("10.0.0.0/8", "unix", "X-Forwarded-For", "203.0.113.7, unix:");
    EXPECT_CLIENT("::1", "2001:db8::7", "X-Forwarded-For", "2001:DB8::7, ::1");
}

TEST(a_node_may_have_a_port_and_brackets)
{
    EXPECT_CLIENT("::1", "203.0.113.7", "X-Forwarded-For", "203.0.113.7:4711");
    EXPECT_CLIENT("::1", "2001:db8::7", "X-Forwarded-For", "[2001:db8::7]");
    EXPECT_CLIENT("::1", "2001:db8::7", "X-Forwarded-For", "[2001:db8::7]:4711");
    EXPECT_CLIENT("::1", "203.0.113.7", "X-Forwarded-For", "::ffff:203.0.113.7");
    EXPECT_CLIENT("::1", "unknown", "X-Forwarded-For", "203.0.113.7:");
    EXPECT_CLIENT("::1", "unknown", "X-Forwarded-For", "203.0.113.7:123456");
    EXPECT_CLIENT("::1", "unknown", "X-Forwarded-For", "[2001:db8::7");
    EXPECT_CLIENT("::1", "unknown", "X-Forwarded-For", "[2001:db8::7]x");
    EXPECT_CLIENT("::1", "unknown", "X-Forwarded-For", "[]");
    EXPECT_CLIENT("::1", "unknown", "X-Forwarded-For", "fe80::1%eth0");
    EXPECT_CLIENT("::1", "203.0.113.7", "X-Forwarded-For", "nonsense, 203.0.113.7");
    EXPECT_CLIENT("::1", "unknown", "X-Forwarded-For", "203.0.113.7, nonsense");
}

TEST(the_examples_of_the_standard_are_read)
{
    // RFC 7239, sections 4, 6.3 and 7.
    EXPECT_CLIENT("::1", "_gazonk", "Forwarded", "for=\"_gazonk\"");
    EXPECT_CLIENT("::1", "2001:db8:cafe::17", "Forwarded", "For=\"[2001:db8:cafe::17]:4711\"");
    EXPECT_CLIENT("203.0.113.43", "192.0.2.60", "Forwarded",
                  "for=192.0.2.60;proto=http;by=203.0.113.43");
    EXPECT_CLIENT("198.51.100.17", "192.0.2.43", "Forwarded", "for=192.0.2.43, for=198.51.100.17");
    EXPECT_CLIENT("::1", "_SEVKISEK", "Forwarded", "for=_hidden, for=_SEVKISEK");
    EXPECT_CLIENT("::1", "unknown", "Forwarded", "for=unknown");
    EXPECT_CLIENT("::1", "192.0.2.43", "Forwarded", "for=192.0.2.43", "Forwarded", "for=\"[::1]\"");
    EXPECT_CLIENT("::1", "192.0.2.43", "Forwarded", "for=\"192.0.2.43:_port\"");
    EXPECT_CLIENT("::1", "192.0.2.43", "Forwarded", "for=192.0.2.43:80;by=_x");
}

TEST(a_field_that_is_malformed_hides_nobody_but_who_wrote_it)
{
    EXPECT_CLIENT("::1", "unknown", "Forwarded", "for=\"x, for=192.0.2.43");
    EXPECT_CLIENT("::1", "unknown", "Forwarded", "for=\"x, for=\"[2001:db8::7]\"");
    EXPECT_CLIENT("::1", "192.0.2.43", "Forwarded", "for=\"x", "Forwarded", "for=192.0.2.43");
    EXPECT_CLIENT("::1", "192.0.2.43", "Forwarded", "nonsense, for=192.0.2.43");
    EXPECT_CLIENT("::1", "unknown", "Forwarded", "proto=https");
    EXPECT_CLIENT("::1", "unknown", "Forwarded", "for=192.0.2.43;for=192.0.2.44");
    EXPECT_CLIENT("::1", "unknown", "Forwarded", "for=\"192.0.2.4\\3\"");
    EXPECT_CLIENT("::1", "unknown", "Forwarded", "for = 192.0.2.43");
    EXPECT_CLIENT("::1", "unknown", "Forwarded",
                  "for=_a123456789b123456789c123456789d123456789e123456789");
    EXPECT_CLIENT("::1", "203.0.113.7", "X-Forwarded-For", "\"8.8.8.8, 203.0.113.7");
}

TEST(scheme_and_host_are_those_that_the_client_asked_for)
{
    const struct said *said =
        say("10.0.0.0/8",
            (fields){"Forwarded",
                     "for=8.8.8.8;proto=http;host=evil, for=203.0.113.7;PROTO=HTTPS;host=\"a.b:8\"",
                     "Forwarded", "for=10.0.0.3;proto=http;host=inner", NULL});
    EXPECT(said->is_https);
    EXPECT_BYTES(said->host, BYTES("a.b:8"));
    said = say("10.0.0.0/8", (fields){"X-Forwarded-For", "8.8.8.8, 203.0.113.7, 10.0.0.3",
                                      "X-Forwarded-Proto", "https, https, http", "X-Forwarded-Host",
                                      "evil, a.b", "X-Forwarded-Host", "inner", NULL});
    EXPECT_BYTES(said->ip, BYTES("203.0.113.7"));
    EXPECT(said->is_https);
    EXPECT_BYTES(said->host, BYTES("a.b"));
}

TEST(a_list_that_a_proxy_has_replaced_counts_from_its_beginning)
{
    const struct said *said =
        say("10.0.0.0/8", (fields){"X-Forwarded-For", "203.0.113.7, 10.0.0.3", "X-Forwarded-Proto",
                                   "https", "X-Forwarded-Host", "a.b", NULL});
    EXPECT(said->is_https);
    EXPECT_BYTES(said->host, BYTES("a.b"));
    said = say("10.0.0.0/8", (fields){"X-Forwarded-Proto", "http, https", NULL});
    EXPECT(said->is_https);
    EXPECT_BYTES(said->ip, BYTES(""));
}

TEST(what_is_no_host_or_no_scheme_is_passed_over)
{
    const struct said *said =
        say("::1", (fields){"X-Forwarded-For", "203.0.113.7", "X-Forwarded-Proto", "javascript",
                            "X-Forwarded-Host", "a b/c", NULL});
    EXPECT(!said->is_https);
    EXPECT_BYTES(said->host, BYTES(""));
}

TEST(of_two_kinds_of_fields_one_is_believed_only_when_it_is_named)
{
#define BOTH "Forwarded", "for=192.0.2.1;proto=https;host=a", "X-Forwarded-For", "192.0.2.2", NULL
    EXPECT_CLIENT("::1", "unknown", BOTH);
    EXPECT(!say("::1", (fields){BOTH})->is_https);
    EXPECT_BYTES(say("::1", (fields){BOTH})->host, BYTES(""));
    EXPECT_CLIENT("::1,forwarded", "192.0.2.1", BOTH);
    EXPECT_CLIENT("::1, x-forwarded", "192.0.2.2", BOTH);
    EXPECT_CLIENT("::1,forwarded", "", "X-Forwarded-For", "192.0.2.2", NULL);
    EXPECT_CLIENT("::1", "unknown", "Forwarded", "for=192.0.2.1", "X-Forwarded-Proto", "https",
                  NULL);
}

static int refusal(const char *list)
{
    struct trust trust = {0};
    struct bytes bad;
    return trust_add_list(&trust, bytes_from_string(list), &bad);
}

TEST(a_list_of_proxies_that_is_wrong_is_refused)
{
    EXPECT_INT(refusal(""), TRUST_NOBODY);
    EXPECT_INT(refusal("forwarded"), TRUST_NOBODY);
    EXPECT_INT(refusal("10.0.0.0/8 unix"), TRUST_BAD_WORD);
    EXPECT_INT(refusal("everybody"), TRUST_BAD_WORD);
    EXPECT_INT(refusal("10.0.0.1/8"), NETWORK_BITS_BEHIND);
    EXPECT_INT(refusal("unix,forwarded,x-forwarded"), TRUST_BOTH_FIELDS);
    struct trust trust = {0};
    for (int i = 0; i < TRUST_NETWORKS_MAX; i++) {
        EXPECT_INT(trust_add(&trust, BYTES("10.0.0.0/8")), 0);
    }
    EXPECT_INT(trust_add(&trust, BYTES("10.0.0.0/8")), TRUST_TOO_MANY);
}
