// SPDX-License-Identifier: MIT
//
// Negotiation with any Accept field. Input: the value of the field.
#include "fuzz.h"

#include "wire/accept.h"

enum { ACCEPT_MAX = 4000 };

static const char stream_type[] = "text/event-stream";

static void check_type(struct bytes accept, const char *type);
static void check_appended(struct bytes accept);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes accept = bytes_of((const char *)at, len);
    if (len > ACCEPT_MAX) {
        return 0;
    }
    check_type(accept, stream_type);
    check_type(accept, "text/html");
    check_type(accept, "a/b");
    check_appended(accept);
    return 0;
}

/// The result does not depend on the case of letters, and lies between 0 and 1000.
static void check_type(struct bytes accept, const char *type)
{
    int quality = accept_quality(accept, bytes_from_string(type));
    CHECK(quality >= 0);
    CHECK(quality <= 1000);
    char upper[ACCEPT_MAX];
    for (size_t i = 0; i < accept.len; i++) {
        bool is_lower = accept.at[i] >= 'a' && accept.at[i] <= 'z';
        upper[i] = is_lower ? (char)(accept.at[i] - 'a' + 'A') : accept.at[i];
    }
    CHECK(accept_quality(bytes_of(upper, accept.len), bytes_from_string(type)) == quality);
}

/// Naming the type outright accepts it, and refusing everything else changes nothing for it.
static void check_appended(struct bytes accept)
{
    char text[ACCEPT_MAX + 40];
    if (accept.len > 0 && memchr(accept.at, '"', accept.len) != NULL) {
        return;
    }
    memcpy(text, ",", 1);
    memcpy(text + 1, stream_type, sizeof(stream_type) - 1);
    size_t len = sizeof(stream_type);
    memcpy(text + len, ",", 1);
    if (accept.len > 0) {
        memcpy(text + len + 1, accept.at, accept.len);
    }
    struct bytes type = bytes_from_string(stream_type);
    CHECK(accept_quality(bytes_of(text, len + 1 + accept.len), type) == 1000);
    CHECK(accept_quality(bytes_of(text, len), BYTES("text/html")) == 0);
}
