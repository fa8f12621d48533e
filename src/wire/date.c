// SPDX-License-Identifier: MIT
//
// The calendar is computed here because libc's functions depend on the locale and the time zone,
// and some of them on shared memory. Years are counted from March, so the leap day is a year's last
// day.
#include "wire/date.h"

#include "base/check.h"

#include <assert.h>
#include <string.h>

enum { DAY_SECONDS = 86400 };

static const int64_t date_end = INT64_C(253402300800); // 10000-01-01 00:00:00

static void put_name(char *at, const char *names, int64_t index);
static void put_digits(char *at, int64_t number, int count);

void date_format(int64_t seconds, char *out)
{
    seconds = seconds < 0 ? 0 : seconds < date_end ? seconds : date_end - 1;
    int64_t days = seconds / DAY_SECONDS;
    int64_t second = seconds % DAY_SECONDS;
    int64_t shifted = days + 719468; // from 0000-03-01, where an era of 400 years begins
    int64_t era = shifted / 146097;
    int64_t era_day = shifted % 146097;
    int64_t era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    int64_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    int64_t march_month = (5 * year_day + 2) / 153; // 0 is March
    int64_t day = year_day - (153 * march_month + 2) / 5 + 1;
    int64_t month = (march_month + 2) % 12; // 0 is January
    int64_t year = era * 400 + era_year + (month < 2 ? 1 : 0);

    static_assert(sizeof("Thu, 01 Jan 1970 00:00:00 GMT") - 1 == HTTP_DATE_LEN,
                  "the model is whole");
    memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_LEN);
    put_name(out, "ThuFriSatSunMonTueWed", days % 7);
    put_digits(out + 5, day, 2);
    put_name(out + 8, "JanFebMarAprMayJunJulAugSepOctNovDec", month);
    put_digits(out + 12, year, 4);
    put_digits(out + 17, second / 3600, 2);
    put_digits(out + 20, second / 60 % 60, 2);
    put_digits(out + 23, second % 60, 2);
}

/// Writes the name of three letters at `index` in `names`.
static void put_name(char *at, const char *names, int64_t index)
{
    DCHECK(index >= 0 && (size_t)index * 3 + 3 <= strlen(names));
    memcpy(at, names + index * 3, 3);
}

static void put_digits(char *at, int64_t number, int count)
{
    DCHECK(number >= 0);
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    DCHECK(number == 0);
}
