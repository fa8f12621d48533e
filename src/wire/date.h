// SPDX-License-Identifier: MIT
//
// The HTTP date (RFC 9110, section 5.6.7, IMF-fixdate): `Sun, 06 Nov 1994 08:49:37 GMT`. Pure.
#pragma once

#include <stdint.h>

enum { HTTP_DATE_LEN = 29 };

/// Writes the date of `seconds` since 1970 UTC: exactly HTTP_DATE_LEN bytes, no NUL. Dates before
/// 1970 and after 9999 are written as the first or last second of these years.
void date_format(int64_t seconds, char *out);
