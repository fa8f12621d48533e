// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/condition.h"
#include "wire/etag.h"

#define MODIFIED "Sat, 29 Oct 1994 19:43:31 GMT"
#define EARLIER "Sat, 29 Oct 1994 19:43:30 GMT"
#define LATER "Sat, 29 Oct 1994 19:43:32 GMT"

static const struct validators known = {{"\"xyzzy\"", 7}, 783459811, 783459811 + 3600};

static enum condition judged(struct conditions conditions)
{
    return condition_judge(&conditions, &known);
}

static bool allows(const char *if_range)
{
    struct conditions conditions = {.if_range = bytes_from_string(if_range)};
    return condition_allows_range(&conditions, &known);
}

TEST(without_conditions_the_content_is_sent)
{
    EXPECT_INT(judged((struct conditions){.if_match = {NULL, 0}}), CONDITION_MET);
}

TEST(the_tag_that_the_client_has_is_not_sent_again)
{
    // RFC 9110, section 13.1.2
#define IF_NONE_MATCH(text) judged((struct conditions){.if_none_match = BYTES(text)})
    EXPECT_INT(IF_NONE_MATCH("\"xyzzy\""), CONDITION_NOT_MODIFIED);
    EXPECT_INT(IF_NONE_MATCH("W/\"xyzzy\""), CONDITION_NOT_MODIFIED);
    EXPECT_INT(IF_NONE_MATCH("\"xyzzy\", \"r2d2xxxx\", \"c3piozzzz\""), CONDITION_NOT_MODIFIED);
    EXPECT_INT(IF_NONE_MATCH("W/\"c3piozzzz\", W/\"xyzzy\""), CONDITION_NOT_MODIFIED);
    EXPECT_INT(IF_NONE_MATCH("*"), CONDITION_NOT_MODIFIED);
    EXPECT_INT(IF_NONE_MATCH("\"r2d2xxxx\""), CONDITION_MET);
    EXPECT_INT(IF_NONE_MATCH("xyzzy"), CONDITION_MET);
    EXPECT_INT(IF_NONE_MATCH("\"XYZZY\""), CONDITION_MET);
    EXPECT_INT(IF_NONE_MATCH(""), CONDITION_MET);
}

TEST(if_match_wants_a_strong_tag)
{
    // RFC 9110, section 13.1.1
#define IF_MATCH(text) judged((struct conditions){.if_match = BYTES(text)})
    EXPECT_INT(IF_MATCH("\"xyzzy\""), CONDITION_MET);
    EXPECT_INT(IF_MATCH("\"r2d2xxxx\", \"xyzzy\""), CONDITION_MET);
    EXPECT_INT(IF_MATCH("*"), CONDITION_MET);
    EXPECT_INT(IF_MATCH("W/\"xyzzy\""), CONDITION_FAILED);
    EXPECT_INT(IF_MATCH("\"r2d2xxxx\""), CONDITION_FAILED);
    EXPECT_INT(IF_MATCH(""), CONDITION_FAILED);
}

TEST(dates_decide_where_there_is_no_tag)
{
    // RFC 9110, sections 13.1.3 and 13.1.4
#define SINCE(text) judged((struct conditions){.if_modified_since = BYTES(text)})
#define UNLESS(text) judged((struct conditions){.if_unmodified_since = BYTES(text)})
    EXPECT_INT(SINCE(MODIFIED), CONDITION_NOT_MODIFIED);
    EXPECT_INT(SINCE(LATER), CONDITION_NOT_MODIFIED);
    EXPECT_INT(SINCE(EARLIER), CONDITION_MET);
    EXPECT_INT(SINCE("yesterday"), CONDITION_MET);
    EXPECT_INT(UNLESS(MODIFIED), CONDITION_MET);
    EXPECT_INT(UNLESS(LATER), CONDITION_MET);
    EXPECT_INT(UNLESS(EARLIER), CONDITION_FAILED);
    EXPECT_INT(UNLESS("yesterday"), CONDITION_MET);
}

TEST(the_conditions_are_judged_in_the_order_of_the_standard)
{
    // RFC 9110, section 13.2.2
    struct conditions all = {
        .if_match = BYTES("\"xyzzy\""),
        .if_unmodified_since = BYTES(EARLIER), // not looked at: there is If-Match
        .if_none_match = BYTES("\"other\""),
        .if_modified_since = BYTES(MODIFIED), // not looked at: there is If-None-Match
    };
    EXPECT_INT(judged(all), CONDITION_MET);
    all.if_none_match = BYTES("\"xyzzy\"");
    EXPECT_INT(judged(all), CONDITION_NOT_MODIFIED);
    all.if_match = BYTES("\"other\"");
    EXPECT_INT(judged(all), CONDITION_FAILED);
}

TEST(if_range_wants_exactly_what_there_is)
{
    // RFC 9110, section 13.1.5
    struct conditions none = {.if_range = {NULL, 0}};
    EXPECT(condition_allows_range(&none, &known));
    EXPECT(allows("\"xyzzy\""));
    EXPECT(!allows("W/\"xyzzy\""));
    EXPECT(!allows("\"other\""));
    EXPECT(allows(MODIFIED));
    EXPECT(!allows(LATER));
    EXPECT(!allows(EARLIER));
    EXPECT(!allows("*"));
    EXPECT(!allows(""));
    EXPECT(!allows("\""));
}

TEST(a_date_within_the_last_second_is_no_strong_validator)
{
    struct validators fresh = known;
    struct conditions conditions = {.if_range = BYTES(MODIFIED)};
    fresh.now_s = fresh.modified_s + 1;
    EXPECT(!condition_allows_range(&conditions, &fresh));
    fresh.now_s = fresh.modified_s + 2;
    EXPECT(condition_allows_range(&conditions, &fresh));
}

TEST(tags_are_compared_as_the_standard_compares_them)
{
    // The table of RFC 9110, section 8.8.3.2.
    EXPECT(!etag_list_has(BYTES("W/\"1\""), BYTES("W/\"1\""), ETAG_STRONG));
    EXPECT(etag_list_has(BYTES("W/\"1\""), BYTES("W/\"1\""), ETAG_WEAK));
    EXPECT(!etag_list_has(BYTES("W/\"1\""), BYTES("W/\"2\""), ETAG_STRONG));
    EXPECT(!etag_list_has(BYTES("W/\"1\""), BYTES("W/\"2\""), ETAG_WEAK));
    EXPECT(!etag_list_has(BYTES("W/\"1\""), BYTES("\"1\""), ETAG_STRONG));
    EXPECT(etag_list_has(BYTES("W/\"1\""), BYTES("\"1\""), ETAG_WEAK));
    EXPECT(etag_list_has(BYTES("\"1\""), BYTES("\"1\""), ETAG_STRONG));
    EXPECT(etag_list_has(BYTES("\"1\""), BYTES("\"1\""), ETAG_WEAK));
}

TEST(a_list_of_tags_is_read_up_to_its_first_mistake)
{
    EXPECT(etag_list_has(BYTES(" , ,\"a\",, \"b\" ,"), BYTES("\"b\""), ETAG_STRONG));
    EXPECT(etag_list_has(BYTES("\"a,b\", \"c\""), BYTES("\"c\""), ETAG_STRONG));
    EXPECT(etag_list_has(BYTES("\"a\\\", \"c\""), BYTES("\"c\""), ETAG_STRONG));
    EXPECT(etag_list_has(BYTES("\"\", \"c\""), BYTES("\"\""), ETAG_STRONG));
    EXPECT(!etag_list_has(BYTES("\"a\" \"b\""), BYTES("\"b\""), ETAG_STRONG));
    EXPECT(!etag_list_has(BYTES("a, \"b\""), BYTES("\"b\""), ETAG_STRONG));
    EXPECT(!etag_list_has(BYTES("w/\"b\""), BYTES("\"b\""), ETAG_WEAK));
    EXPECT(!etag_list_has(BYTES("\"b"), BYTES("\"b\""), ETAG_WEAK));
    EXPECT(!etag_list_has(BYTES("\"b c\""), BYTES("\"b c\""), ETAG_WEAK));
}

TEST(files_that_differ_in_anything_have_other_tags)
{
    struct etag_source sources[] = {{17, 99, 1700000000, 5}, {18, 99, 1700000000, 5},
                                    {17, 98, 1700000000, 5}, {17, 99, 1700000001, 5},
                                    {17, 99, 1700000000, 6}, {0, 0, 0, 0},
                                    {0, 0, -1, 999999999},   {UINT64_MAX, UINT64_MAX, -1, 1}};
    enum { COUNT = sizeof(sources) / sizeof(sources[0]) };
    char texts[COUNT][ETAG_LEN_MAX];
    struct bytes tags[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        tags[i] = bytes_of(texts[i], etag_of_file(&sources[i], texts[i]));
        EXPECT(etag_list_has(tags[i], tags[i], ETAG_STRONG));
        for (size_t k = 0; k < i; k++) {
            EXPECT(!bytes_equal(tags[i], tags[k]));
        }
    }
    EXPECT_BYTES(tags[0], BYTES("\"11-6553f10000000005-63\""));
}
