// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/error.h"
#include "wire/ip.h"

#include <errno.h>

static void expect_text(struct bytes text, struct bytes wanted)
{
    struct ip ip;
    char out[IP_TEXT_MAX];
    EXPECT(ip_parse(text, &ip));
    EXPECT_BYTES(bytes_of(out, ip_write(&ip, out)), wanted);
}

static bool is_in(struct bytes network_text, struct bytes ip_text)
{
    struct network network;
    struct ip ip;
    EXPECT_INT(network_parse(network_text, &network), 0);
    EXPECT(ip_parse(ip_text, &ip));
    return network_has(&network, &ip);
}

static int parsed(struct bytes text)
{
    struct network network;
    return network_parse(text, &network);
}

TEST(an_address_has_one_spelling)
{
    expect_text(BYTES("192.0.2.1"), BYTES("192.0.2.1"));
    expect_text(BYTES("2001:DB8:0:0:0:0:0:1"), BYTES("2001:db8::1"));
    expect_text(BYTES("::ffff:192.0.2.1"), BYTES("192.0.2.1"));
    expect_text(BYTES("::ffff:c000:201"), BYTES("192.0.2.1"));
    expect_text(BYTES("::"), BYTES("::"));
}

TEST(what_is_no_address_is_refused)
{
    struct ip ip;
    EXPECT(!ip_parse(BYTES(""), &ip));
    EXPECT(!ip_parse(BYTES("192.0.2"), &ip));
    EXPECT(!ip_parse(BYTES("192.0.2.256"), &ip));
    EXPECT(!ip_parse(BYTES("192.0.2.1:80"), &ip));
    EXPECT(!ip_parse(BYTES("[::1]"), &ip));
    EXPECT(!ip_parse(BYTES("fe80::1%eth0"), &ip));
    EXPECT(!ip_parse(BYTES("localhost"), &ip));
    EXPECT(!ip_parse(BYTES("192.0.2.1\0"), &ip));
    EXPECT(!ip_parse(BYTES("0000:0000:0000:0000:0000:ffff:192.168.100.2280"), &ip));
}

TEST(a_network_has_the_addresses_of_its_prefix)
{
    EXPECT(is_in(BYTES("10.0.0.0/8"), BYTES("10.255.0.1")));
    EXPECT(!is_in(BYTES("10.0.0.0/8"), BYTES("11.0.0.0")));
    EXPECT(is_in(BYTES("172.16.0.0/12"), BYTES("172.31.255.255")));
    EXPECT(!is_in(BYTES("172.16.0.0/12"), BYTES("172.32.0.0")));
    EXPECT(is_in(BYTES("192.0.2.1"), BYTES("192.0.2.1")));
    EXPECT(!is_in(BYTES("192.0.2.1"), BYTES("192.0.2.0")));
    EXPECT(is_in(BYTES("2001:db8::/33"), BYTES("2001:db8:7fff::1")));
    EXPECT(!is_in(BYTES("2001:db8::/33"), BYTES("2001:db8:8000::1")));
    EXPECT(is_in(BYTES("0.0.0.0/0"), BYTES("8.8.8.8")));
    EXPECT(!is_in(BYTES("0.0.0.0/0"), BYTES("2001:db8::1")));
}

TEST(an_address_that_is_mapped_into_ipv6_is_the_one_of_ipv4)
{
    EXPECT(is_in(BYTES("10.0.0.0/8"), BYTES("::ffff:10.1.2.3")));
    EXPECT(is_in(BYTES("::ffff:10.0.0.0/104"), BYTES("10.1.2.3")));
    EXPECT(!is_in(BYTES("::/0"), BYTES("10.1.2.3")));
    EXPECT(is_in(BYTES("::/0"), BYTES("2001:db8::1")));
}

TEST(what_is_no_network_is_refused)
{
    EXPECT_INT(parsed(BYTES("")), -EINVAL);
    EXPECT_INT(parsed(BYTES("/8")), -EINVAL);
    EXPECT_INT(parsed(BYTES("10.0.0.0/")), -EINVAL);
    EXPECT_INT(parsed(BYTES("10.0.0.0/33")), -EINVAL);
    EXPECT_INT(parsed(BYTES("10.0.0.0/08")), -EINVAL);
    EXPECT_INT(parsed(BYTES("10.0.0.0/-1")), -EINVAL);
    EXPECT_INT(parsed(BYTES("10.0.0.0/8/8")), -EINVAL);
    EXPECT_INT(parsed(BYTES("::/129")), -EINVAL);
    EXPECT_INT(parsed(BYTES("::/1000")), -EINVAL);
    EXPECT_INT(parsed(BYTES("10.1.0.0/8")), NETWORK_BITS_BEHIND);
    EXPECT_INT(parsed(BYTES("2001:db8::1/64")), NETWORK_BITS_BEHIND);
}

static bool is_public(struct bytes text)
{
    struct ip ip;
    EXPECT(ip_parse(text, &ip));
    return ip_is_public(&ip);
}

TEST(what_has_a_special_purpose_is_not_public)
{
    // Each range, with its first and its last address, and the addresses beside it.
    static const char *const fours[][4] = {
        {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
        {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
        {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
        {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
        {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
        {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
        {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
        {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
        {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
        {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
        {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
        {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
        {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
        {"223.255.255.255", "224.0.0.0", "255.255.255.255", NULL},
    };
    for (size_t i = 0; i < sizeof(fours) / sizeof(fours[0]); i++) {
        for (size_t k = 0; k < 4; k++) {
            if (fours[i][k] != NULL) {
                EXPECT_INT(is_public(bytes_from_string(fours[i][k])), k == 0 || k == 3);
            }
        }
    }
}

TEST(an_ipv6_address_is_public_when_it_is_global_and_holds_no_other)
{
    EXPECT(is_public(BYTES("2000::")));
    EXPECT(is_public(BYTES("2606:2800:220:1:248:1893:25c8:1946")));
    EXPECT(is_public(BYTES("2001:200::1")));
    EXPECT(is_public(BYTES("2001:db7:ffff::")) && is_public(BYTES("2001:db9::")));
    EXPECT(is_public(BYTES("3ffe:ffff::")) && is_public(BYTES("3fff:1000::")));
    EXPECT(!is_public(BYTES("::")) && !is_public(BYTES("::1")));
    EXPECT(!is_public(BYTES("100::1")));                                  // discarded
    EXPECT(!is_public(BYTES("fc00::1")) && !is_public(BYTES("fdff::1"))); // unique local
    EXPECT(!is_public(BYTES("fe80::1")) && !is_public(BYTES("fec0::1"))); // link- and site-local
    EXPECT(!is_public(BYTES("ff02::1")));
    EXPECT(!is_public(BYTES("2001:db8::1")) && !is_public(BYTES("3fff:fff::1"))); // documentation
    EXPECT(!is_public(BYTES("2001:2::1")));                                       // benchmarks
    EXPECT(!is_public(BYTES("2001::7f00:1")));                                    // Teredo
    EXPECT(!is_public(BYTES("2002:7f00:1::")) && !is_public(BYTES("2002:808:808::"))); // 6to4
    EXPECT(!is_public(BYTES("5f00::1")));
}

TEST(an_address_of_ipv4_inside_of_ipv6_is_judged_as_itself)
{
    EXPECT(is_public(BYTES("::ffff:8.8.8.8")) && !is_public(BYTES("::ffff:10.0.0.1")));
    EXPECT(is_public(BYTES("64:ff9b::8.8.8.8")) && !is_public(BYTES("64:ff9b::127.0.0.1")));
    EXPECT(!is_public(BYTES("64:ff9b:1::8.8.8.8"))); // a network's own (RFC 8215)
    EXPECT(!is_public(BYTES("::8.8.8.8")));
    EXPECT(!is_public(BYTES("::ffff:0:8.8.8.8")));
}
