// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/utf8.h"

#include <string.h>

/// Whether all of `text` is one scalar value of two to four bytes, by decoding it.
static bool is_scalar(const unsigned char *text, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned lead_mask = 0xffU << (7 - len) & 0xff;
    bool is_whole = (text[0] & lead_mask) == (lead_mask << 1 & 0xff);
    uint32_t point = text[0] & ~lead_mask & 0xff;
    for (size_t i = 1; i < len; i++) {
        is_whole = is_whole && (text[i] & 0xc0) == 0x80;
        point = point << 6 | (text[i] & 0x3f);
    }
    bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    return is_whole && point >= least[len] && point <= 0x10ffff && !is_surrogate;
}

static void expect_agreement(const unsigned char *text, size_t len)
{
    bool is_valid = utf8_valid_prefix(bytes_of((const char *)text, len)) == len;
    EXPECT(is_valid == is_scalar(text, len));
}

TEST(every_two_bytes_are_judged_as_the_definition_says)
{
    for (unsigned first = 0x80; first < 0x100; first++) {
        for (unsigned second = 0; second < 0x100; second++) {
            unsigned char text[2] = {(unsigned char)first, (unsigned char)second};
            expect_agreement(text, 2);
        }
    }
}

TEST(every_three_bytes_are_judged_as_the_definition_says)
{
    for (unsigned first = 0xe0; first < 0x100; first++) {
        for (unsigned rest = 0; rest < 0x10000; rest++) {
            unsigned char text[3] = {(unsigned char)first, (unsigned char)(rest >> 8),
                                     (unsigned char)rest};
            expect_agreement(text, 3);
        }
    }
}

TEST(every_four_bytes_are_judged_as_the_definition_says)
{
    static const unsigned char ends[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
    for (unsigned first = 0xf0; first < 0x100; first++) {
        for (unsigned second = 0; second < 0x100; second++) {
            for (size_t i = 0; i < sizeof(ends) * sizeof(ends); i++) {
                unsigned char text[4] = {(unsigned char)first, (unsigned char)second,
                                         ends[i % sizeof(ends)], ends[i / sizeof(ends)]};
                expect_agreement(text, 4);
            }
        }
    }
}

TEST(an_invalid_byte_is_found_at_every_place_of_a_long_text)
{
    char text[40];
    for (size_t len = 0; len <= sizeof(text); len++) {
        for (size_t at = 0; at < len; at++) {
            memset(text, 'a', len);
            text[at] = '\xff';
            EXPECT_INT(utf8_valid_prefix(bytes_of(text, len)), at);
            text[at] = 'a';
            EXPECT_INT(utf8_valid_prefix(bytes_of(text, len)), len);
        }
    }
}

TEST(text_in_many_scripts_is_valid)
{
    struct bytes text =
        BYTES("\0 grüß dich, Ж, 日本語, \xf0\x9f\x8c\x99, \xef\xbb\xbf, \xf4\x8f\xbf\xbf");
    EXPECT_INT(utf8_valid_prefix(text), text.len);
}

/// The replacement examples of the Unicode standard, chapter 3, tables 3-8 to 3-11: how many bytes
/// each U+FFFD stands for.
static void expect_parts(struct bytes text, const char *parts)
{
    for (; *parts != '\0'; parts++) {
        size_t len = utf8_valid_prefix(text) > 0 ? 1 : utf8_invalid_len(text);
        EXPECT_INT(len, *parts - '0');
        text = bytes_skip(text, len);
    }
    EXPECT_INT(text.len, 0);
}

TEST(each_maximal_part_of_a_sequence_is_one_replacement)
{
    expect_parts(BYTES("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), "111111111");
    expect_parts(BYTES("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), "111111111");
    expect_parts(BYTES("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"), "111111111");
    expect_parts(BYTES("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), "21321");
}

TEST(a_sequence_cut_short_by_the_end_is_one_replacement)
{
    EXPECT_INT(utf8_invalid_len(BYTES("\xe2")), 1);
    EXPECT_INT(utf8_invalid_len(BYTES("\xe2\x82")), 2);
    EXPECT_INT(utf8_invalid_len(BYTES("\xf0\x9f\x8c")), 3);
    EXPECT_INT(utf8_invalid_len(BYTES("\xc3")), 1);
}

/// Whether `text`, which is no scalar value, becomes one when some bytes are added.
static bool can_become_scalar(const unsigned char *text, size_t len)
{
    unsigned char whole[4];
    memcpy(whole, text, len);
    size_t wanted = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    for (unsigned next = 0x80; next < 0xc0 && len < wanted; next++) {
        memset(whole + len, 0x80, sizeof(whole) - len);
        whole[len] = (unsigned char)next;
        if (is_scalar(whole, wanted)) {
            return true;
        }
    }
    return false;
}

TEST(a_partial_character_at_the_end_is_one_that_can_be_completed)
{
    for (unsigned rest = 0; rest < 0x1000000; rest += rest < 0x7f0000 ? 0xfff1 : 1) {
        unsigned char text[3] = {(unsigned char)(rest >> 16), (unsigned char)(rest >> 8),
                                 (unsigned char)rest};
        size_t wanted = 0;
        for (size_t len = 1; len <= 3; len++) {
            const unsigned char *at = text + 3 - len;
            wanted = at[0] >= 0xc0 && can_become_scalar(at, len) ? len : wanted;
        }
        EXPECT_INT(utf8_partial_len(bytes_of((const char *)text, 3)), wanted);
    }
}

TEST(no_more_than_three_bytes_are_partial)
{
    EXPECT_INT(utf8_partial_len(BYTES("")), 0);
    EXPECT_INT(utf8_partial_len(BYTES("\xf0")), 1);
    EXPECT_INT(utf8_partial_len(BYTES("\xf0\x9f\x8c")), 3);
    EXPECT_INT(utf8_partial_len(BYTES("\xf0\x9f\x8c\x99")), 0);
    EXPECT_INT(utf8_partial_len(BYTES("\xf0\x9f\x8c\x99\x99")), 0);
    EXPECT_INT(utf8_partial_len(BYTES("\x80\x80\x80\x80")), 0);
    EXPECT_INT(utf8_partial_len(BYTES("\xe2\xe2\x82")), 2);
}
