// SPDX-License-Identifier: MIT
//
// What curl says of a request that has failed, as a number of this program and as the code that
// scripts get. Pure.
#pragma once

/// The number for `result`, a CURLcode that is not CURLE_OK: a negative errno, or a row of
/// base/error.h. `os_error` is the errno of the connection's last failure, or 0.
int upstream_failure_of(int result, long os_error);

/// What scripts get as the code for `failure`, such as "ECONNREFUSED". Lives as long as the
/// program.
const char *upstream_code(int failure);
