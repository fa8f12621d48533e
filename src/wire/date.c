// SPDX-License-Identifier: MIT
//
// The calendar is computed here because libc's functions depend on the locale and the time zone,
// and some of them on shared memory. Years are counted from March, so the leap day is a year's last
// day.
#include "wire/date.h"

#include "base/check.h"
#include "wire/octet.h"

#include <assert.h>
#include <string.h>

enum { DAY_SECONDS = 86400 };

static const int64_t date_end = INT64_C(253402300800); // 10000-01-01 00:00:00

static const char day_names[] = "ThuFriSatSunMonTueWed"; // 1970-01-01 was a Thursday
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/// What a text says, part by part.
struct parts {
    int64_t year, month, day, hour, minute, second; // the month is 0 for January
};

static void put_name(char *at, const char *names, int64_t index);
static void put_digits(char *at, int64_t number, int count);
static bool read_as(struct bytes text, const char *model, int64_t now_s, struct parts *parts);
static bool read_part(struct bytes *rest, char part, int64_t now_s, struct parts *parts);
static bool take_name(struct bytes *rest, const char *names, int64_t *index);
static bool take_long_day(struct bytes *rest);
static bool take_digits(struct bytes *rest, int count, int64_t *number);
static int64_t full_year(int64_t two_digits, int64_t now_s);
static bool is_in_calendar(const struct parts *parts);
static int64_t seconds_of(const struct parts *parts);
static int64_t year_of(int64_t seconds);

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
    put_name(out, day_names, days % 7);
    put_digits(out + 5, day, 2);
    put_name(out + 8, month_names, month);
    put_digits(out + 12, year, 4);
    put_digits(out + 17, second / 3600, 2);
    put_digits(out + 20, second / 60 % 60, 2);
    put_digits(out + 23, second % 60, 2);
}

bool date_parse(struct bytes text, int64_t now_s, int64_t *seconds)
{
    // `w` and `W` are names of days, short and long, `n` names of months, `d` and `e` days with a
    // zero or a space in front, `y` and `z` years of four and two digits, `h`, `m` and `s` the
    // time.
    static const char *const models[] = {"w, d n y h:m:s GMT", "W, d-n-z h:m:s GMT",
                                         "w n e h:m:s y"};
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        struct parts parts = {0};
        if (read_as(text, models[i], now_s, &parts)) {
            *seconds = seconds_of(&parts);
            return is_in_calendar(&parts);
        }
    }
    return false;
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

static bool read_as(struct bytes text, const char *model, int64_t now_s, struct parts *parts)
{
    for (; *model != '\0'; model++) {
        if (!read_part(&text, *model, now_s, parts)) {
            return false;
        }
    }
    return text.len == 0;
}

/// Takes what the letter `part` of a model stands for from `rest`. A letter that stands for nothing
/// else stands for itself.
static bool read_part(struct bytes *rest, char part, int64_t now_s, struct parts *parts)
{
    int64_t day_of_week;
    switch (part) {
    case 'w':
        return take_name(rest, day_names, &day_of_week);
    case 'W':
        return take_long_day(rest);
    case 'n':
        return take_name(rest, month_names, &parts->month);
    case 'd':
        return take_digits(rest, 2, &parts->day);
    case 'e':
        if (rest->len > 0 && rest->at[0] == ' ') {
            *rest = bytes_skip(*rest, 1);
            return take_digits(rest, 1, &parts->day);
        }
        return take_digits(rest, 2, &parts->day);
    case 'y':
        return take_digits(rest, 4, &parts->year);
    case 'z':
        if (!take_digits(rest, 2, &parts->year)) {
            return false;
        }
        parts->year = full_year(parts->year, now_s);
        return true;
    case 'h':
        return take_digits(rest, 2, &parts->hour);
    case 'm':
        return take_digits(rest, 2, &parts->minute);
    case 's':
        return take_digits(rest, 2, &parts->second);
    default:
        if (rest->len == 0 || rest->at[0] != part) {
            return false;
        }
        *rest = bytes_skip(*rest, 1);
        return true;
    }
}

static bool take_name(struct bytes *rest, const char *names, int64_t *index)
{
    size_t count = strlen(names) / 3;
    for (size_t i = 0; i < count && rest->len >= 3; i++) {
        if (memcmp(rest->at, names + i * 3, 3) == 0) {
            *rest = bytes_skip(*rest, 3);
            *index = (int64_t)i;
            return true;
        }
    }
    return false;
}

static bool take_long_day(struct bytes *rest)
{
    static const char *const names[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct bytes name = bytes_from_string(names[i]);
        if (rest->len >= name.len && bytes_starts_with(*rest, name)) {
            *rest = bytes_skip(*rest, name.len);
            return true;
        }
    }
    return false;
}

static bool take_digits(struct bytes *rest, int count, int64_t *number)
{
    if (rest->len < (size_t)count) {
        return false;
    }
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
        if (!octet_is(rest->at[i], OCTET_DIGIT)) {
            return false;
        }
        sum = sum * 10 + (rest->at[i] - '0');
    }
    *rest = bytes_skip(*rest, (size_t)count);
    *number = sum;
    return true;
}

/// RFC 9110, section 5.6.7: more than 50 years in the future is the most recent year in the past
/// with the same last two digits.
static int64_t full_year(int64_t two_digits, int64_t now_s)
{
    int64_t this_year = year_of(now_s);
    int64_t year = this_year - this_year % 100 + two_digits;
    DCHECK(two_digits >= 0 && two_digits < 100);
    if (year > this_year + 50) {
        return year - 100;
    }
    return year + 100 <= this_year + 50 ? year + 100 : year;
}

/// A minute may have a leap second. It counts as the first second of the next minute.
static bool is_in_calendar(const struct parts *parts)
{
    static const int8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year = parts->year;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    DCHECK(parts->month >= 0 && parts->month < 12);
    return parts->day >= 1 && parts->day <= days[parts->month] &&
           (parts->month != 1 || parts->day < 29 || is_leap) && parts->hour < 24 &&
           parts->minute < 60 && parts->second <= 60;
}

static int64_t seconds_of(const struct parts *parts)
{
    int64_t year = parts->month < 2 ? parts->year - 1 : parts->year; // from March on
    int64_t month = (parts->month + 10) % 12;
    int64_t era = (year + 400) / 400 - 1;
    int64_t era_year = year - era * 400;
    int64_t era_day =
        era_year * 365 + era_year / 4 - era_year / 100 + (153 * month + 2) / 5 + parts->day - 1;
    int64_t days = era * 146097 + era_day - 719468;
    return days * DAY_SECONDS + parts->hour * 3600 + parts->minute * 60 + parts->second;
}

static int64_t year_of(int64_t seconds)
{
    char text[HTTP_DATE_LEN];
    struct bytes year = bytes_of(text + 12, 4);
    int64_t number = 0;
    date_format(seconds, text);
    bool is_number = take_digits(&year, 4, &number);
    DCHECK(is_number);
    return is_number ? number : 1970;
}
