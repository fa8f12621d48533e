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
