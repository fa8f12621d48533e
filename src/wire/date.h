// SPDX-License-Identifier: MIT
//
// The HTTP date (RFC 9110, section 5.6.7). It is written as an IMF-fixdate, `Sun, 06 Nov 1994
// 08:49:37 GMT`, and read in all three formats that a recipient has to take. Pure.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

enum { HTTP_DATE_LEN = 29 };

/// Writes the date of `seconds` since 1970 UTC: exactly HTTP_DATE_LEN bytes, no NUL. Dates before
/// 1970 and after 9999 are written as the first or last second of these years.
void date_format(int64_t seconds, char *out);

/// Reads a date in one of the three formats: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94
/// 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. Sets `seconds` since 1970 UTC, negative before it.
/// A year of two digits that would be more than 50 years after `now_s` is in the century before.
/// The name of the day has to be one, and need not be the right one. False for anything else, and
/// for a day that the month does not have.
MUST_USE bool date_parse(struct bytes text, int64_t now_s, int64_t *seconds);
