// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/date.h"

#include <stdio.h>
#include <time.h>

static void expect_date(int64_t seconds, const char *wanted)
{
    char text[HTTP_DATE_LEN];
    date_format(seconds, text);
    EXPECT_BYTES(bytes_of(text, sizeof(text)), bytes_from_string(wanted));
}

TEST(the_date_of_the_standard_is_written_as_the_standard_writes_it)
{
    expect_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(dates_at_the_edges_of_the_calendar_are_right)
{
    expect_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(86399, "Thu, 01 Jan 1970 23:59:59 GMT");
    expect_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    expect_date(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
    expect_date(1709164800, "Thu, 29 Feb 2024 00:00:00 GMT");
    expect_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    expect_date(INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(dates_agree_with_libc_over_eight_thousand_years)
{
    for (int64_t seconds = 0; seconds < INT64_C(253402300800); seconds += 86399 * 17) {
        char wanted[40];
        time_t time = (time_t)seconds;
        struct tm parts;
        EXPECT(gmtime_r(&time, &parts) != NULL);
        size_t len = strftime(wanted, sizeof(wanted), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        char text[HTTP_DATE_LEN];
        date_format(seconds, text);
        EXPECT_BYTES(bytes_of(text, sizeof(text)), bytes_of(wanted, len));
    }
}

static void expect_read(const char *text, int64_t wanted)
{
    int64_t seconds = -1;
    EXPECT(date_parse(bytes_from_string(text), 1700000000, &seconds)); // in 2023
    EXPECT_INT(seconds, wanted);
}

static void expect_refused(const char *text)
{
    int64_t seconds = 0;
    EXPECT(!date_parse(bytes_from_string(text), 1700000000, &seconds));
}

TEST(the_three_dates_of_the_standard_are_read_as_the_same_moment)
{
    // RFC 9110, section 5.6.7
    expect_read("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
    expect_read("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
    expect_read("Sun Nov  6 08:49:37 1994", 784111777);
    expect_read("Sun Nov 06 08:49:37 1994", 784111777);
}

TEST(a_year_of_two_digits_is_at_most_fifty_years_ahead)
{
    expect_read("Friday, 01-Jan-73 00:00:00 GMT", INT64_C(3250454400)); // 2073
    expect_read("Friday, 01-Jan-74 00:00:00 GMT", 126230400);           // 1974
    expect_read("Saturday, 01-Jan-00 00:00:00 GMT", 946684800);         // 2000
    int64_t seconds = 0;
    struct bytes text = BYTES("Sunday, 06-Nov-01 08:49:37 GMT");
    EXPECT(date_parse(text, INT64_C(3786912000), &seconds)); // in 2090, it is 2101
    EXPECT_INT(seconds, INT64_C(4160710177));
}

TEST(dates_at_the_edges_of_the_calendar_are_read)
{
    expect_read("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    expect_read("Wed, 31 Dec 1969 23:59:59 GMT", -1);
    expect_read("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800);
    expect_read("Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799));
    expect_read("Sat, 01 Jan 0000 00:00:00 GMT", INT64_C(-62167219200));
    expect_read("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800); // a leap second
    expect_read("Mon, 06 Nov 1994 08:49:37 GMT", 784111777);  // it was no Monday
}

TEST(what_is_no_date_is_refused)
{
    expect_refused("");
    expect_refused("0");
    expect_refused("784111777");
    expect_refused("Sun, 06 Nov 1994 08:49:37 GMT ");
    expect_refused("Sun, 06 Nov 1994 08:49:37");
    expect_refused("Sun, 06 Nov 1994 08:49:37 UTC");
    expect_refused("sun, 06 nov 1994 08:49:37 GMT");
    expect_refused("Sun, 6 Nov 1994 08:49:37 GMT");
    expect_refused("Sun, 06 Nov 94 08:49:37 GMT");
    expect_refused("Sun, 06-Nov-94 08:49:37 GMT");
    expect_refused("Sun, 31 Feb 1994 08:49:37 GMT");
    expect_refused("Wed, 29 Feb 2023 08:49:37 GMT");
    expect_refused("Thu, 29 Feb 1900 08:49:37 GMT");
    expect_refused("Sun, 00 Nov 1994 08:49:37 GMT");
    expect_refused("Sun, 06 Nov 1994 24:00:00 GMT");
    expect_refused("Sun, 06 Nov 1994 08:60:00 GMT");
    expect_refused("Sun, 06 Nov 1994 08:49:61 GMT");
    expect_refused("Sun Nov   6 08:49:37 1994");
}

TEST(what_is_written_is_read_back)
{
    for (int64_t seconds = 0; seconds < INT64_C(253402300800); seconds += 86399 * 31) {
        char text[HTTP_DATE_LEN];
        int64_t back = -1;
        date_format(seconds, text);
        EXPECT(date_parse(bytes_of(text, sizeof(text)), 0, &back));
        EXPECT_INT(back, seconds);
    }
}
