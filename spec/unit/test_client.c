// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/error.h"
#include "client/target.h"

TEST(a_target_is_split_and_names_are_refused)
{
    struct client_target target;
    EXPECT_INT(client_target_parse(&target, "http://[::1]:3000/a?b=c"), 0);
    EXPECT_BYTES(bytes_from_string(target.host), BYTES("::1"));
    EXPECT_BYTES(bytes_from_string(target.authority), BYTES("[::1]:3000"));
    EXPECT_BYTES(bytes_from_string(target.path), BYTES("/a?b=c"));
    EXPECT_INT(target.port, 3000);
    EXPECT_INT(client_target_parse(&target, "http://localhost"), 0);
    EXPECT_INT(target.port, 80);
    EXPECT_BYTES(bytes_from_string(target.path), BYTES("/"));
    EXPECT_INT(client_target_parse(&target, "http://example.com/"), TARGET_NAME);
    EXPECT_INT(client_target_parse(&target, "https://127.0.0.1/"), TARGET_TLS);
    EXPECT_INT(client_target_parse(&target, "http://127.0.0.1:0/"), TARGET_NO_PORT);
    EXPECT_INT(client_target_parse(&target, "/events"), TARGET_BAD_URL);
    EXPECT_INT(client_target_parse(&target, ""), TARGET_BAD_URL);
}
