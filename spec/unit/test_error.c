// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/error.h"

#include <errno.h>

TEST(an_error_of_our_own_has_a_number_and_a_text_of_its_own)
{
    int error = CLIENT_ENDED;
    EXPECT(error < ERROR_OURS);
    EXPECT_INT(CLIENT_BAD_HEAD, CLIENT_ENDED - 1);
    EXPECT_BYTES(bytes_from_string(error_text(CLIENT_ENDED)),
                 BYTES("the server closed the connection"));
    EXPECT_BYTES(bytes_from_string(error_text(CLIENT_BAD_CHUNKS)),
                 BYTES("the server sent what is no chunked body"));
}

TEST(an_error_of_the_system_has_the_text_of_the_system)
{
    EXPECT_BYTES(bytes_from_string(error_text(-ENOENT)), BYTES("No such file or directory"));
}
