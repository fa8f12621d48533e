// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/accept.h"

#define EXPECT_QUALITY(accept, type, wanted)                                                       \
    EXPECT_INT(accept_quality(BYTES(accept), BYTES(type)), wanted)

TEST(the_example_of_the_standard_is_ranked_as_the_standard_ranks_it)
{
    // RFC 9110, section 12.5.1, without the lines for types that carry parameters.
#define STANDARD "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, */*;q=0.5"
    EXPECT_QUALITY(STANDARD, "text/plain", 700);
    EXPECT_QUALITY(STANDARD, "text/html", 300);
    EXPECT_QUALITY(STANDARD, "image/jpeg", 500);
    EXPECT_QUALITY("audio/*; q=0.2, audio/basic", "audio/basic", 1000);
    EXPECT_QUALITY("audio/*; q=0.2, audio/basic", "audio/mpeg", 200);
    EXPECT_QUALITY("audio/*; q=0.2, audio/basic", "text/html", 0);
}

TEST(an_empty_or_hopeless_accept_accepts_everything)
{
    EXPECT_QUALITY("", "text/event-stream", 1000);
    EXPECT_QUALITY(" , ", "text/event-stream", 1000);
    EXPECT_QUALITY("nonsense", "text/event-stream", 1000);
    EXPECT_QUALITY("text/html;q=2", "text/event-stream", 1000);
    EXPECT_QUALITY("/, a/, /b, a/b/c", "text/event-stream", 1000);
}

TEST(what_browsers_send_for_an_event_stream_accepts_it)
{
    EXPECT_QUALITY("text/event-stream", "text/event-stream", 1000);
    EXPECT_QUALITY("*/*", "text/event-stream", 1000);
    EXPECT_QUALITY("text/*", "text/event-stream", 1000);
    EXPECT_QUALITY("Text/Event-Stream", "text/event-stream", 1000);
    EXPECT_QUALITY("application/json", "text/event-stream", 0);
    EXPECT_QUALITY("text/event-streams", "text/event-stream", 0);
    EXPECT_QUALITY("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "text/event-stream",
                   200);
}

TEST(the_most_specific_range_decides_in_any_order)
{
    EXPECT_QUALITY("*/*;q=1, text/event-stream;q=0", "text/event-stream", 0);
    EXPECT_QUALITY("text/event-stream;q=0, */*", "text/event-stream", 0);
    EXPECT_QUALITY("text/*;q=0.1, */*", "text/html", 100);
    EXPECT_QUALITY("*/*, text/*;q=0.1", "text/html", 100);
}

TEST(of_equal_ranges_the_highest_quality_counts)
{
    EXPECT_QUALITY("text/html;q=0.2, text/html;q=0.9, text/html;q=0.4", "text/html", 900);
}

TEST(a_range_with_a_parameter_never_matches_the_plain_type)
{
    EXPECT_QUALITY("text/html;level=1", "text/html", 0);
    EXPECT_QUALITY("text/html;level=1, */*;q=0.1", "text/html", 100);
    EXPECT_QUALITY("text/html;q=0.5;level=1", "text/html", 0);
    EXPECT_QUALITY("text/html;level=\"a,b;c=\\\"\";q=0.5, text/html;q=0.3", "text/html", 300);
    EXPECT_QUALITY("*/html", "text/html", 0);
}

TEST(a_weight_has_at_most_three_decimals_and_is_at_most_one)
{
    EXPECT_QUALITY("a/b;q=0", "a/b", 0);
    EXPECT_QUALITY("a/b;q=0.", "a/b", 0);
    EXPECT_QUALITY("a/b;q=1.", "a/b", 1000);
    EXPECT_QUALITY("a/b;q=1.000", "a/b", 1000);
    EXPECT_QUALITY("a/b;Q=0.123", "a/b", 123);
    EXPECT_QUALITY("a/b ; q=0.5 ;", "a/b", 500);
    EXPECT_QUALITY("a/b;; ;q=0.5", "a/b", 500);
    EXPECT_QUALITY("a/b;q=0.1234, */*;q=0.9", "a/b", 900);
    EXPECT_QUALITY("a/b;q=1.001, */*;q=0.9", "a/b", 900);
    EXPECT_QUALITY("a/b;q=, */*;q=0.9", "a/b", 900);
    EXPECT_QUALITY("a/b;q=., */*;q=0.9", "a/b", 900);
    EXPECT_QUALITY("a/b;q=2, */*;q=0.9", "a/b", 900);
    EXPECT_QUALITY("a/b;q=01, */*;q=0.9", "a/b", 900);
    EXPECT_QUALITY("a/b;q=0.x, */*;q=0.9", "a/b", 900);
    EXPECT_QUALITY("a/b;q= 0.5, */*;q=0.9", "a/b", 900);
}

TEST(a_malformed_parameter_makes_its_range_absent)
{
    EXPECT_QUALITY("a/b;x, */*;q=0.9", "c/d", 900);
    EXPECT_QUALITY("a/b;x", "c/d", 1000);
    EXPECT_QUALITY("a/b;=x", "c/d", 1000);
    EXPECT_QUALITY("a/b;x=", "c/d", 1000);
    EXPECT_QUALITY("a/b;x=\"", "c/d", 1000);
    EXPECT_QUALITY("a/b;x=\"\\", "c/d", 1000);
    EXPECT_QUALITY("a/b;x=\"y\"z", "c/d", 1000);
    EXPECT_QUALITY("a/b;x=\"\x01\"", "c/d", 1000);
    EXPECT_QUALITY("a/b;x=\"y\\\"\"", "c/d", 0);
    EXPECT_QUALITY("a/b;x=\"\"", "c/d", 0);
}

#define EXPECT_CODING(field, coding, quality)                                                      \
    EXPECT_INT(accept_encoding_quality(BYTES(field), BYTES(coding)), quality)

TEST(codings_are_ranked_as_the_standard_ranks_them)
{
    // RFC 9110, section 12.5.3
    EXPECT_CODING("compress, gzip", "gzip", 1000);
    EXPECT_CODING("compress, gzip", "br", 0);
    EXPECT_CODING("", "gzip", 0);
    EXPECT_CODING("*", "gzip", 1000);
    EXPECT_CODING("compress;q=0.5, gzip;q=1.0", "compress", 500);
    EXPECT_CODING("gzip;q=1.0, identity; q=0.5, *;q=0", "gzip", 1000);
    EXPECT_CODING("gzip;q=1.0, identity; q=0.5, *;q=0", "identity", 500);
    EXPECT_CODING("gzip;q=1.0, identity; q=0.5, *;q=0", "br", 0);
}

TEST(a_coding_that_is_named_goes_before_any)
{
    EXPECT_CODING("*;q=0.1, br", "br", 1000);
    EXPECT_CODING("br;q=0, *", "br", 0);
    EXPECT_CODING("br;q=0.2, br;q=0.7", "br", 700);
    EXPECT_CODING("GZIP", "gzip", 1000);
    EXPECT_CODING("x-gzip;q=0.3", "gzip", 300);
    EXPECT_CODING("gzipped, brotli", "gzip", 0);
    EXPECT_CODING("gzip;q=2, br;level=3, deflate;q=", "gzip", 0);
    EXPECT_CODING("gzip;q=2, br;level=3, deflate;q=", "br", 0);
    EXPECT_CODING("gzip ; q=0.25 ,br", "gzip", 250);
}
