// SPDX-License-Identifier: MIT
#include "unit.h"

#include "client/target.h"

TEST(a_target_is_split_and_names_are_refused)
{
    struct client_target target;
    EXPECT(client_target_parse(&target, "http://[::1]:3000/a?b=c") == NULL);
    EXPECT_BYTES(bytes_from_string(target.host), BYTES("::1"));
    EXPECT_BYTES(bytes_from_string(target.authority), BYTES("[::1]:3000"));
    EXPECT_BYTES(bytes_from_string(target.path), BYTES("/a?b=c"));
    EXPECT_INT(target.port, 3000);
    EXPECT(client_target_parse(&target, "http://localhost") == NULL);
    EXPECT_INT(target.port, 80);
    EXPECT_BYTES(bytes_from_string(target.path), BYTES("/"));
    EXPECT(client_target_parse(&target, "http://example.com/") != NULL);
    EXPECT(client_target_parse(&target, "https://127.0.0.1/") != NULL);
    EXPECT(client_target_parse(&target, "http://127.0.0.1:0/") != NULL);
    EXPECT(client_target_parse(&target, "/events") != NULL);
    EXPECT(client_target_parse(&target, "") != NULL);
}
