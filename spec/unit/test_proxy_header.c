// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/error.h"
#include "wire/proxy_header.h"

enum { BYTES_MAX = 16 * 1024 };

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define FOUR SIGNATURE "\x21\x11\0\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb"

static ssize_t parsed(struct bytes bytes)
{
    struct proxy_header header;
    return proxy_header_parse(bytes, BYTES_MAX, &header);
}

static void expect_source(struct bytes bytes, const char *ip, unsigned port)
{
    struct proxy_header header;
    char text[IP_TEXT_MAX];
    EXPECT_INT(proxy_header_parse(bytes, BYTES_MAX, &header), bytes.len);
    EXPECT_INT(header.source, PROXY_SOURCE_IP);
    EXPECT_BYTES(bytes_of(text, ip_write(&header.ip, text)), bytes_from_string(ip));
    EXPECT_INT(header.port, port);
}

static void expect_peer(struct bytes bytes, enum proxy_source source)
{
    struct proxy_header header;
    EXPECT_INT(proxy_header_parse(bytes, BYTES_MAX, &header), bytes.len);
    EXPECT_INT(header.source, source);
}

TEST(version_1_names_the_source)
{
    expect_source(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n"), "192.0.2.1", 12345);
    expect_source(BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), "2001:db8::1", 0);
    expect_source(BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), "192.0.2.1", 1);
    expect_peer(BYTES("PROXY UNKNOWN\r\n"), PROXY_SOURCE_PEER);
    expect_peer(BYTES("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"),
                PROXY_SOURCE_PEER);
}

TEST(version_1_has_one_spelling)
{
    EXPECT_INT(parsed(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY TCP4 ::1 198.51.100.2 1 2\r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY TCP6 192.0.2.1 ::1 1 2\r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY \r\n")), PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES("PROXY UNKNOWN \0"
                            "01234567890123456789012345678901234567890123456789"
                            "01234567890123456789012345678901234567890123456789\r\n")),
               PROXY_MALFORMED);
}

TEST(version_2_names_the_source_and_what_follows_the_addresses_is_passed_over)
{
    expect_source(BYTES(FOUR), "192.0.2.1", 12345);
    expect_source(BYTES(SIGNATURE "\x21\x11\0\x12\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb"
                                  "\x01\0\x03h2!"),
                  "192.0.2.1", 12345);
    expect_source(BYTES(SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\0\x07\0\x08"),
                  "2001:db8::1", 7);
}

TEST(version_2_without_a_source_leaves_the_peer)
{
    expect_peer(BYTES(SIGNATURE "\x20\0\0\0"), PROXY_SOURCE_PEER);       // LOCAL
    expect_peer(BYTES(SIGNATURE "\x20\x11\0\x02??"), PROXY_SOURCE_PEER); // LOCAL with rubbish
    expect_peer(BYTES(SIGNATURE "\x21\0\0\0"), PROXY_SOURCE_PEER);       // AF_UNSPEC
    expect_peer(BYTES(SIGNATURE "\x21\x01\0\x04\x04\0\x01!"), PROXY_SOURCE_PEER);
    char text[16 + 216] = SIGNATURE "\x21\x31\0\xd8/run/client";
    expect_peer(bytes_of(text, sizeof(text)), PROXY_SOURCE_UNIX);
}

TEST(version_2_that_is_malformed_is_refused)
{
    EXPECT_INT(parsed(BYTES(SIGNATURE "\x11\x11\0\0")), PROXY_MALFORMED); // version 1
    EXPECT_INT(parsed(BYTES(SIGNATURE "\x22\x11\0\0")), PROXY_MALFORMED); // command 2
    EXPECT_INT(parsed(BYTES(SIGNATURE "\x21\x41\0\0")), PROXY_MALFORMED); // family 4
    EXPECT_INT(parsed(BYTES(SIGNATURE "\x21\x13\0\0")), PROXY_MALFORMED); // protocol 3
    EXPECT_INT(parsed(BYTES(SIGNATURE "\x21\x11\0\x0b"
                                      "01234567890")),
               PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES(SIGNATURE "\x21\x21\0\x0c"
                                      "012345678901")),
               PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES(SIGNATURE "\x21\x31\0\x0c"
                                      "012345678901")),
               PROXY_MALFORMED);
    EXPECT_INT(parsed(BYTES(SIGNATURE "\x21\x11\x3f\xf1")), PROXY_TOO_LONG);
}

TEST(what_is_no_header_is_known_by_its_first_wrong_byte)
{
    EXPECT_INT(parsed(BYTES("G")), PROXY_NOT_ONE);
    EXPECT_INT(parsed(BYTES("PRI * HTTP/2.0\r\n")), PROXY_NOT_ONE);
    EXPECT_INT(parsed(BYTES("\r\n\r\n\0\r\nQUIX")), PROXY_NOT_ONE);
    EXPECT_INT(parsed(BYTES("")), 0);
}

/// A beginning of a header, however long, asks for more.
static void expect_more(struct bytes header)
{
    for (size_t len = 0; len < header.len; len++) {
        EXPECT_INT(parsed(bytes_of(header.at, len)), 0);
    }
}

TEST(a_header_that_is_cut_anywhere_waits_for_the_rest)
{
    expect_more(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n"));
    expect_more(BYTES("PROXY UNKNOWN\r\n"));
    expect_more(BYTES(FOUR));
    expect_more(BYTES(SIGNATURE "\x20\0\0\x03"
                                "abc"));
}
