// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/url.h"

#include <string.h>

static void expect_target(struct bytes method, struct bytes text, struct target wanted)
{
    struct target target;
    EXPECT(url_split_target(method, text, &target));
    EXPECT_INT(target.form, wanted.form);
    EXPECT_BYTES(target.authority, wanted.authority);
    EXPECT_BYTES(target.path, wanted.path);
    EXPECT_BYTES(target.query, wanted.query);
}

static bool is_target(struct bytes method, struct bytes text)
{
    struct target target;
    return url_split_target(method, text, &target);
}

TEST(a_host_is_another_if_its_name_or_a_port_that_was_named_differs)
{
    EXPECT(url_host_is(BYTES("Example.COM:81"), BYTES("example.com")));
    EXPECT(url_host_is(BYTES("example.com:"), BYTES("example.com")));
    EXPECT(url_host_is(BYTES("[::1]:3000"), BYTES("[::1]")));
    EXPECT(url_host_is(BYTES("a:80"), BYTES("a:80")));
    EXPECT(!url_host_is(BYTES("a:8"), BYTES("a:80")));
    EXPECT(!url_host_is(BYTES("a"), BYTES("a:80")));
    EXPECT(!url_host_is(BYTES("[::1]"), BYTES("[::2]")));
    EXPECT(!url_host_is(BYTES("xexample.com"), BYTES("example.com")));
    EXPECT(!url_host_is(BYTES("example.com.evil.org"), BYTES("example.com")));
}

TEST(the_origin_form_is_path_and_query)
{
    struct target where = {TARGET_ORIGIN, false, BYTES(""), BYTES("/where"), BYTES("q=now")};
    expect_target(BYTES("GET"), BYTES("/where?q=now"), where);
    struct target root = {TARGET_ORIGIN, false, BYTES(""), BYTES("/"), BYTES("")};
    expect_target(BYTES("GET"), BYTES("/"), root);
    expect_target(BYTES("GET"), BYTES("/?"), root);
    struct target odd = {TARGET_ORIGIN, false, BYTES(""), BYTES("//a//%2f"), BYTES("b?c/d%00")};
    expect_target(BYTES("OPTIONS"), BYTES("//a//%2f?b?c/d%00"), odd);
}

TEST(a_path_with_a_dot_segment_is_marked_whatever_way_it_is_written)
{
    static const char *const dotted[] = {
        "/..",     "/.",        "/a/../b", "/a/./b",    "/a/..",   "/%2e%2E",        "/.%2e/x",
        "/a%2f..", "/..%2fa/b", "/a%5c..", "/..%5Cwin", "/a/%2e/", "/x%2F%2e%2e%2f", "/.?x",
    };
    static const char *const plain[] = {
        "/",      "/...",    "/a..",          "/..a",   "/.well-known/x",
        "/a.b/c", "/a/.b",   "/%252e%252e/x", "/a%2fb", "/%2e%2e%2e",
        "/?../x", "/a?/../", "/..%20",
    };
    struct target target;
    for (size_t i = 0; i < sizeof(dotted) / sizeof(dotted[0]); i++) {
        EXPECT(url_split_target(BYTES("GET"), bytes_from_string(dotted[i]), &target));
        EXPECT(target.has_dot_segment);
    }
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        EXPECT(url_split_target(BYTES("GET"), bytes_from_string(plain[i]), &target));
        EXPECT(!target.has_dot_segment);
    }
}

static void expect_canonical(struct bytes path, struct bytes wanted)
{
    char out[64];
    EXPECT_BYTES(bytes_of(out, url_canonical_path(path, out)), wanted);
}

TEST(a_path_has_one_canonical_spelling)
{
    expect_canonical(BYTES("/%61dmin/%7Eb"), BYTES("/admin/~b"));
    expect_canonical(BYTES("/a%2fb/%c3%A9"), BYTES("/a%2Fb/%C3%A9"));
    expect_canonical(BYTES("/%25/%3f%3A%20"), BYTES("/%25/%3F:%20"));
    expect_canonical(BYTES("//a//"), BYTES("//a//"));
    EXPECT(url_has_encoded_slash(BYTES("a%2fb")));
    EXPECT(url_has_encoded_slash(BYTES("a%2F")));
    EXPECT(!url_has_encoded_slash(BYTES("a/b%252f")));
}

TEST(the_absolute_form_names_its_authority)
{
    struct target pub = {TARGET_ABSOLUTE, false, BYTES("www.example.org"),
                         BYTES("/pub/WWW/TheProject.html"), BYTES("")};
    expect_target(BYTES("GET"), BYTES("http://www.example.org/pub/WWW/TheProject.html"), pub);
    struct target bare = {TARGET_ABSOLUTE, false, BYTES("a:8080"), BYTES("/"), BYTES("")};
    expect_target(BYTES("GET"), BYTES("HTTPS://a:8080"), bare);
    struct target query = {TARGET_ABSOLUTE, false, BYTES("[::1]:80"), BYTES("/"), BYTES("x/y")};
    expect_target(BYTES("GET"), BYTES("http://[::1]:80?x/y"), query);
}

TEST(the_authority_form_is_for_connect_and_has_a_port)
{
    struct target wanted = {TARGET_AUTHORITY, false, BYTES("www.example.com:80"), BYTES(""),
                            BYTES("")};
    expect_target(BYTES("CONNECT"), BYTES("www.example.com:80"), wanted);
    EXPECT(is_target(BYTES("CONNECT"), BYTES("[2001:db8::1]:443")));
    EXPECT(!is_target(BYTES("CONNECT"), BYTES("[2001:db8::1]")));
    EXPECT(!is_target(BYTES("CONNECT"), BYTES("www.example.com")));
    EXPECT(!is_target(BYTES("CONNECT"), BYTES("www.example.com:")));
    EXPECT(!is_target(BYTES("CONNECT"), BYTES("/")));
    EXPECT(!is_target(BYTES("CONNECT"), BYTES("*")));
    EXPECT(!is_target(BYTES("CONNECT"), BYTES("http://a/")));
    EXPECT(!is_target(BYTES("GET"), BYTES("www.example.com:80")));
}

TEST(the_asterisk_form_is_for_options)
{
    struct target wanted = {TARGET_ASTERISK, false, BYTES(""), BYTES("*"), BYTES("")};
    expect_target(BYTES("OPTIONS"), BYTES("*"), wanted);
    EXPECT(!is_target(BYTES("GET"), BYTES("*")));
    EXPECT(!is_target(BYTES("options"), BYTES("*")));
    EXPECT(!is_target(BYTES("OPTIONS"), BYTES("**")));
}

TEST(no_other_form_is_a_target)
{
    EXPECT(!is_target(BYTES("GET"), BYTES("")));
    EXPECT(!is_target(BYTES("GET"), BYTES("x")));
    EXPECT(!is_target(BYTES("GET"), BYTES("ftp://a/")));
    EXPECT(!is_target(BYTES("GET"), BYTES("http:/a")));
    EXPECT(!is_target(BYTES("GET"), BYTES("http://")));
    EXPECT(!is_target(BYTES("GET"), BYTES("http:///a")));
    EXPECT(!is_target(BYTES("GET"), BYTES("http://:80/")));
    EXPECT(!is_target(BYTES("GET"), BYTES("http://user@a/")));
    EXPECT(!is_target(BYTES("GET"), BYTES("http://user:pw@a/")));
    EXPECT(!is_target(BYTES("GET"), BYTES("http://a:99999/")));
    EXPECT(!is_target(BYTES("GET"), BYTES("http://a/\x80")));
}

TEST(a_path_byte_is_what_a_serialiser_leaves_raw)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[] = {'/', (char)byte, 'a'};
        bool is_legal = byte > 0x20 && byte < 0x7f && strchr("\"<>\\#%", byte) == NULL;
        EXPECT(is_target(BYTES("GET"), bytes_of(text, sizeof(text))) == is_legal);
    }
}

TEST(a_query_byte_may_also_be_a_backslash)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[] = {'/', '?', (char)byte, 'a'};
        bool is_legal = byte > 0x20 && byte < 0x7f && strchr("\"<>#%", byte) == NULL;
        EXPECT(is_target(BYTES("GET"), bytes_of(text, sizeof(text))) == is_legal);
    }
}

TEST(percent_sequences_are_whole_and_never_nul_in_a_path)
{
    EXPECT(is_target(BYTES("GET"), BYTES("/%41%c3%BC?%00%fF")));
    EXPECT(is_target(BYTES("GET"), BYTES("/%01%10")));
    EXPECT(!is_target(BYTES("GET"), BYTES("/%00")));
    EXPECT(!is_target(BYTES("GET"), BYTES("/a%00b?c")));
    EXPECT(!is_target(BYTES("GET"), BYTES("/%")));
    EXPECT(!is_target(BYTES("GET"), BYTES("/%4")));
    EXPECT(!is_target(BYTES("GET"), BYTES("/%4g")));
    EXPECT(!is_target(BYTES("GET"), BYTES("/%g4")));
    EXPECT(!is_target(BYTES("GET"), BYTES("/?%")));
    EXPECT(!is_target(BYTES("GET"), BYTES("/?%u0041")));
}

static const char *const hosts[] = {"a",
                                    "example.com",
                                    "example.com:",
                                    "example.com:80",
                                    "127.0.0.1:65535",
                                    "a_b",
                                    "a~b",
                                    "%41",
                                    "a!$&'()*+,;=",
                                    "999.999.999.999",
                                    "a:00080",
                                    "[::]",
                                    "[::]:1",
                                    "[::1]",
                                    "[v1.a]",
                                    "[vF.a:b]:",
                                    "[1::]",
                                    "[1:2:3:4:5:6:7:8]",
                                    "[1:2:3:4:5:6:7::]",
                                    "[::2:3:4:5:6:7:8]",
                                    "[1::3:4:5:6:7:8]",
                                    "[::ffff:1.2.3.4]",
                                    "[1:2:3:4:5:6:255.0.10.99]",
                                    "[2001:DB8::7]"};

TEST(a_host_is_a_name_or_an_address_with_an_optional_port)
{
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        EXPECT_BYTES(url_host_is_valid(bytes_from_string(hosts[i])) ? BYTES("valid")
                                                                    : bytes_from_string(hosts[i]),
                     BYTES("valid"));
    }
}

static const char *const not_hosts[] = {"",
                                        ":80",
                                        "a:b",
                                        "a:65536",
                                        "a:1:2",
                                        "a:-1",
                                        "a b",
                                        "a/",
                                        "a@b",
                                        "a\"",
                                        "%4",
                                        "%00",
                                        "a%",
                                        "[",
                                        "]",
                                        "[]",
                                        "[::",
                                        "[::]a",
                                        "[::]:x",
                                        "[::]:65536",
                                        "[:]",
                                        "[:::]",
                                        "[::1::]",
                                        "[1:2]",
                                        "[1:2:3:4:5:6:7]",
                                        "[1:2:3:4:5:6:7:8:9]",
                                        "[1:2:3:4::5:6:7:8]",
                                        "[1:2:3:4:5:6:7:8::]",
                                        "[12345::]",
                                        "[g::]",
                                        "[::1.2.3]",
                                        "[::1.2.3.4.5]",
                                        "[::1.2.3.256]",
                                        "[::01.2.3.4]",
                                        "[::1.2.3.a]",
                                        "[::1.2.3.]",
                                        "[::1234.2.3.4]",
                                        "[1.2.3.4::]",
                                        "[1.2.3.4]",
                                        "[::1%25eth0]",
                                        "[1:2:3:4:5:6:7:1.2.3.4]",
                                        "[1:2:3:4:5:6:7:]",
                                        "[:1:2:3:4:5:6:7]",
                                        "[v.a]",
                                        "[v1.]",
                                        "[v1]",
                                        "[vg.a]",
                                        "[v1.a/]",
                                        "[::1.2.3.4:5]",
                                        "a\x7f",
                                        "\xc3\xbc"};

TEST(anything_else_is_not_a_host)
{
    for (size_t i = 0; i < sizeof(not_hosts) / sizeof(not_hosts[0]); i++) {
        EXPECT_BYTES(url_host_is_valid(bytes_from_string(not_hosts[i]))
                         ? bytes_from_string(not_hosts[i])
                         : BYTES("not valid"),
                     BYTES("not valid"));
    }
}

static void expect_decoded(struct bytes text, bool plus_is_space, struct bytes wanted)
{
    char out[64];
    EXPECT(text.len <= sizeof(out));
    EXPECT_BYTES(bytes_of(out, url_decode(text, plus_is_space, out)), wanted);
}

TEST(percent_sequences_are_decoded_and_bad_ones_kept)
{
    expect_decoded(BYTES(""), false, BYTES(""));
    expect_decoded(BYTES("abc"), false, BYTES("abc"));
    expect_decoded(BYTES("%61%2F%c3%BC%00"), false, BYTES("a/\xc3\xbc\0"));
    expect_decoded(BYTES("a+b%2B"), false, BYTES("a+b+"));
    expect_decoded(BYTES("a+b%2B"), true, BYTES("a b+"));
    expect_decoded(BYTES("%"), false, BYTES("%"));
    expect_decoded(BYTES("%4"), false, BYTES("%4"));
    expect_decoded(BYTES("%4x%x4%%41"), false, BYTES("%4x%x4%A"));
    expect_decoded(BYTES("%2541"), false, BYTES("%41"));
}

static void expect_pairs(struct bytes query, const char *const *wanted, size_t count)
{
    struct bytes name;
    struct bytes value;
    for (size_t i = 0; i < count; i++) {
        EXPECT(url_next_pair(&query, &name, &value));
        EXPECT_BYTES(name, bytes_from_string(wanted[2 * i]));
        EXPECT_BYTES(value, bytes_from_string(wanted[2 * i + 1]));
    }
    EXPECT(!url_next_pair(&query, &name, &value));
}

TEST(pairs_are_taken_one_by_one)
{
    static const char *const two[] = {"a", "1", "b", "2"};
    static const char *const odd[] = {"a", "", "", "x", "b", "c=d", "", ""};
    expect_pairs(BYTES("a=1&b=2"), two, 2);
    expect_pairs(BYTES("&&a=1&&&b=2&"), two, 2);
    expect_pairs(BYTES("a&=x&b=c=d&="), odd, 4);
    expect_pairs(BYTES(""), NULL, 0);
    expect_pairs(BYTES("&&"), NULL, 0);
}
