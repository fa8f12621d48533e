// SPDX-License-Identifier: MIT
// Ids as peers send them back. An id that is parsed is written the same again, and the reverse. A
// lookup in a list finds the first part that has the epoch, if all parts are ids. Input: the text
// of an id or of a list; its first 16 bytes also serve as the two numbers of an id.
#include "fuzz.h"

#include "wire/event_id.h"

enum { PARTS_MAX = 64 }; // looked up one by one

static void check_id(struct bytes text);
static void check_numbers(struct bytes text);
static void check_list(struct bytes text);
static void check_lookup(struct bytes list, uint64_t epoch, enum event_id_lookup wanted,
                         uint64_t sequence);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes text = bytes_of((const char *)at, len);
    check_id(text);
    check_numbers(text);
    check_list(text);
    return 0;
}

static void check_id(struct bytes text)
{
    struct event_id id = {1, 2};
    char out[EVENT_ID_LEN_MAX];
    if (event_id_parse(text, &id)) {
        CHECK(bytes_equal(bytes_of(out, event_id_format(id, out)), text));
        check_lookup(text, id.epoch, EVENT_ID_FOUND, id.sequence);
        check_lookup(text, ~id.epoch, EVENT_ID_ABSENT, 0);
    } else {
        CHECK(id.epoch == 1);
        CHECK(id.sequence == 2);
    }
}

static void check_numbers(struct bytes text)
{
    struct event_id id = {1, 2};
    struct event_id parsed;
    char out[EVENT_ID_LEN_MAX];
    if (text.len >= sizeof(id)) {
        memcpy(&id, text.at, sizeof(id));
    }
    CHECK(event_id_parse(bytes_of(out, event_id_format(id, out)), &parsed));
    CHECK(parsed.epoch == id.epoch);
    CHECK(parsed.sequence == id.sequence);
}

/// Looks in the list in another way: takes it apart, one part after the other.
static void check_list(struct bytes text)
{
    struct event_id parts[PARTS_MAX];
    size_t count = 0;
    bool is_list = true;
    struct bytes rest = text;
    bool has_more = true;
    while (has_more && is_list) {
        has_more = rest.len > 0 && memchr(rest.at, ',', rest.len) != NULL;
        struct event_id part;
        is_list = event_id_parse(fuzz_text(&rest, ','), &part);
        if (is_list && count < PARTS_MAX) {
            parts[count++] = part;
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t first = 0;
        while (parts[first].epoch != parts[i].epoch) {
            first++;
        }
        check_lookup(text, parts[i].epoch, is_list ? EVENT_ID_FOUND : EVENT_ID_MALFORMED,
                     parts[first].sequence);
    }
    if (!is_list) {
        check_lookup(text, 0, EVENT_ID_MALFORMED, 0);
    }
}

static void check_lookup(struct bytes list, uint64_t epoch, enum event_id_lookup wanted,
                         uint64_t sequence)
{
    struct event_id id = {3, 4};
    CHECK(event_id_find(list, epoch, &id) == wanted);
    if (wanted == EVENT_ID_FOUND) {
        CHECK(id.epoch == epoch);
        CHECK(id.sequence == sequence);
    }
}
