// SPDX-License-Identifier: MIT
//
// The PROXY header. Input: what a connection begins with. The answer is the same however the bytes
// are cut, and what follows a header does not matter.
#include "fuzz.h"

#include "base/error.h"
#include "wire/proxy_header.h"

enum { BYTES_MAX = 1024, INPUT_MAX = 4096 };

static void check_cuts(struct bytes input, ssize_t whole);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    struct proxy_header header;
    if (len > INPUT_MAX) {
        return 0;
    }
    ssize_t taken = proxy_header_parse(input, BYTES_MAX, &header);
    CHECK(taken <= (ssize_t)len);
    CHECK(taken <= BYTES_MAX);
    CHECK(taken >= 0 || taken == PROXY_NOT_ONE || taken == PROXY_MALFORMED ||
          taken == PROXY_TOO_LONG);
    CHECK(taken != 0 || len < BYTES_MAX); // whoever keeps what has come needs no more room
    check_cuts(input, taken);
    return 0;
}

/// Each beginning asks for more, until one gives the answer that all of it gives.
static void check_cuts(struct bytes input, ssize_t whole)
{
    struct proxy_header header;
    for (size_t len = 0; len < input.len; len++) {
        ssize_t taken = proxy_header_parse(bytes_of(input.at, len), BYTES_MAX, &header);
        if (taken != 0) {
            CHECK(taken == whole);
            return;
        }
        CHECK(whole <= 0 || len < (size_t)whole);
    }
}
