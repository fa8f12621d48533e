// SPDX-License-Identifier: MIT
//
// Ids as peers send them back: what is parsed is written the same again, and the reverse. Input:
// the text of an id; its first 16 bytes also serve as the two numbers of one.
#include "fuzz.h"

#include "wire/event_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes text = bytes_of((const char *)at, len);
    struct event_id id = {1, 2};
    char out[EVENT_ID_LEN_MAX];
    if (event_id_parse(text, &id)) {
        CHECK(bytes_equal(bytes_of(out, event_id_format(id, out)), text));
    } else {
        CHECK(id.epoch == 1);
        CHECK(id.sequence == 2);
    }
    struct event_id parsed;
    if (len >= sizeof(id)) {
        memcpy(&id, at, sizeof(id));
    }
    CHECK(event_id_parse(bytes_of(out, event_id_format(id, out)), &parsed));
    CHECK(parsed.epoch == id.epoch);
    CHECK(parsed.sequence == id.sequence);
    return 0;
}
