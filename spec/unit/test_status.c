// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/status.h"

TEST(status_codes_have_their_reason_phrases)
{
    EXPECT_BYTES(status_reason(100), BYTES("Continue"));
    EXPECT_BYTES(status_reason(200), BYTES("OK"));
    EXPECT_BYTES(status_reason(304), BYTES("Not Modified"));
    EXPECT_BYTES(status_reason(404), BYTES("Not Found"));
    EXPECT_BYTES(status_reason(413), BYTES("Content Too Large"));
    EXPECT_BYTES(status_reason(431), BYTES("Request Header Fields Too Large"));
    EXPECT_BYTES(status_reason(511), BYTES("Network Authentication Required"));
}

TEST(a_code_without_a_phrase_is_unknown)
{
    EXPECT_BYTES(status_reason(299), BYTES("Unknown"));
    EXPECT_BYTES(status_reason(512), BYTES("Unknown"));
    EXPECT_BYTES(status_reason(99), BYTES("Unknown"));
    EXPECT_BYTES(status_reason(0), BYTES("Unknown"));
    EXPECT_BYTES(status_reason(-1), BYTES("Unknown"));
    EXPECT_BYTES(status_reason(1000000), BYTES("Unknown"));
}

TEST(some_statuses_never_have_content)
{
    for (int status = 100; status < 600; status++) {
        bool is_bare = status < 200 || status == 204 || status == 304;
        EXPECT(status_has_content(status) == !is_bare);
    }
}
