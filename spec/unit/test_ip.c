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
