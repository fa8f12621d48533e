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
