// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/event_id.h"

static void expect_written(uint64_t epoch, uint64_t sequence, struct bytes wanted)
{
    char text[EVENT_ID_LEN_MAX];
    struct event_id id = {epoch, sequence};
    size_t len = event_id_format(id, text);
    EXPECT_BYTES(bytes_of(text, len), wanted);
    struct event_id parsed = {1, 2};
    EXPECT(event_id_parse(wanted, &parsed));
    EXPECT(parsed.epoch == epoch);
    EXPECT(parsed.sequence == sequence);
}

static void expect_refused(struct bytes text)
{
    struct event_id id = {7, 8};
    EXPECT(!event_id_parse(text, &id));
    EXPECT(id.epoch == 7);
    EXPECT(id.sequence == 8);
}

TEST(an_event_id_is_a_hexadecimal_epoch_and_a_decimal_sequence)
{
    expect_written(0x9f3c01, 42, BYTES("9f3c01-42"));
    expect_written(0, 0, BYTES("0-0"));
    expect_written(0xabcdef, 9, BYTES("abcdef-9"));
    expect_written(UINT64_MAX, UINT64_MAX, BYTES("ffffffffffffffff-18446744073709551615"));
    EXPECT_INT(EVENT_ID_LEN_MAX, BYTES("ffffffffffffffff-18446744073709551615").len);
}

TEST(an_event_id_survives_every_power_of_two)
{
    for (int bit = 0; bit < 64; bit++) {
        struct event_id id = {UINT64_C(1) << bit, UINT64_MAX >> bit};
        struct event_id parsed;
        char text[EVENT_ID_LEN_MAX];
        EXPECT(event_id_parse(bytes_of(text, event_id_format(id, text)), &parsed));
        EXPECT(parsed.epoch == id.epoch);
        EXPECT(parsed.sequence == id.sequence);
    }
}

TEST(an_event_id_that_we_did_not_write_is_refused)
{
    expect_refused(BYTES(""));
    expect_refused(BYTES("-"));
    expect_refused(BYTES("1"));
    expect_refused(BYTES("1-"));
    expect_refused(BYTES("-1"));
    expect_refused(BYTES("01-1"));
    expect_refused(BYTES("1-01"));
    expect_refused(BYTES("00-1"));
    expect_refused(BYTES("A-1"));
    expect_refused(BYTES("g-1"));
    expect_refused(BYTES("1-a"));
    expect_refused(BYTES("1--1"));
    expect_refused(BYTES("1-1-1"));
    expect_refused(BYTES(" 1-1"));
    expect_refused(BYTES("1-1 "));
    expect_refused(BYTES("1-1\n"));
    expect_refused(BYTES("1-1\0"));
    expect_refused(BYTES("+1-1"));
    expect_refused(BYTES("0x1-1"));
}

TEST(an_event_id_beyond_sixty_four_bits_is_refused)
{
    expect_refused(BYTES("10000000000000000-1"));
    expect_refused(BYTES("1-18446744073709551616"));
    expect_refused(BYTES("1-99999999999999999999"));
    expect_refused(BYTES("ffffffffffffffff-184467440737095516150"));
    expect_refused(BYTES("1-111111111111111111111111111111111111111111111111"));
}

static void expect_found(struct bytes list, uint64_t epoch, uint64_t sequence)
{
    struct event_id id = {7, 8};
    EXPECT_INT(event_id_find(list, epoch, &id), EVENT_ID_FOUND);
    EXPECT(id.epoch == epoch);
    EXPECT(id.sequence == sequence);
}

static void expect_not_found(struct bytes list, uint64_t epoch, enum event_id_lookup wanted)
{
    struct event_id id = {7, 8};
    EXPECT_INT(event_id_find(list, epoch, &id), wanted);
}

TEST(an_event_id_is_found_by_its_epoch_alone_or_among_others)
{
    expect_found(BYTES("a-1"), 0xa, 1);
    expect_found(BYTES("a-1,b-2,c-3"), 0xa, 1);
    expect_found(BYTES("a-1,b-2,c-3"), 0xb, 2);
    expect_found(BYTES("a-1,b-2,c-3"), 0xc, 3);
    expect_found(BYTES("0-0"), 0, 0);
    expect_found(BYTES("1-1,ffffffffffffffff-18446744073709551615"), UINT64_MAX, UINT64_MAX);
}

TEST(the_first_of_two_ids_of_an_epoch_counts)
{
    expect_found(BYTES("a-1,a-2"), 0xa, 1);
    expect_found(BYTES("b-9,a-2,a-1,b-1"), 0xa, 2);
}

TEST(an_epoch_that_no_id_has_is_absent)
{
    expect_not_found(BYTES("a-1"), 0xb, EVENT_ID_ABSENT);
    expect_not_found(BYTES("a-1,b-2"), 0xab, EVENT_ID_ABSENT);
    expect_not_found(BYTES("a-11"), 0x11, EVENT_ID_ABSENT);
    expect_not_found(BYTES("10-1"), 0x1, EVENT_ID_ABSENT);
}

TEST(a_list_of_which_any_part_is_no_id_is_malformed_wherever_that_stands)
{
    static const char *const lists[] = {
        "",         ",",
        "a-1,",     ",a-1",
        "a-1,,b-2", "a-1, b-2",
        "a-1 ,b-2", "a",
        "a-1,b",    "b,a-1",
        "a-1;b-2",  "a-1,b-02",
        "A-1,a-1",  "a-1,earliest",
        "a--1",     "a-1,b--2",
        "a-1\n",    "a-1,1-18446744073709551616",
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        expect_not_found(bytes_from_string(lists[i]), 0xa, EVENT_ID_MALFORMED);
    }
    expect_not_found(bytes_of(NULL, 0), 0xa, EVENT_ID_MALFORMED);
    expect_not_found(BYTES("a-1\0"), 0xa, EVENT_ID_MALFORMED);
    expect_not_found(BYTES("a-1,\0"), 0xa, EVENT_ID_MALFORMED);
}

TEST(a_long_list_is_read_to_its_end)
{
    char list[4 * 5000 + 8];
    for (size_t i = 0; i < 5000; i++) {
        memcpy(list + 4 * i, "b-2,", 4);
    }
    memcpy(list + 4 * 5000, "a-1", 3);
    expect_found(bytes_of(list, 4 * 5000 + 3), 0xa, 1);
    expect_not_found(bytes_of(list, 4 * 5000), 0xb, EVENT_ID_MALFORMED);
    expect_found(bytes_of(list, 4 * 5000 - 1), 0xb, 2);
    expect_not_found(bytes_of(list, 4 * 5000 - 1), 0xa, EVENT_ID_ABSENT);
    list[4 * 5000 + 3] = ',';
    expect_not_found(bytes_of(list, 4 * 5000 + 4), 0xa, EVENT_ID_MALFORMED);
}
