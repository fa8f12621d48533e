// SPDX-License-Identifier: MIT
//
// What a measurement found: figures in the order in which they were added, and failures. Printed as
// an aligned table for people, or as one JSON object. A value inside its owner.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REPORT_FIGURES_MAX = 40, REPORT_FAILURES_MAX = 8, REPORT_FAILURE_BYTES = 256 };

/// One figure. `group` is the JSON object that it stands in, NULL for the outermost one; figures of
/// a group are added one after the other. `key` ends with the unit, as far as there is one.
struct report_figure {
    const char *group;
    const char *key;
    double value;
    int decimals;
};

struct report {
    struct report_figure _figures[REPORT_FIGURES_MAX];
    size_t _figure_count;
    char _failures[REPORT_FAILURES_MAX][REPORT_FAILURE_BYTES];
    size_t failure_count; // of these, only REPORT_FAILURES_MAX have a text
};

void report_add(struct report *report, const char *key, double value, int decimals);
void report_add_to(struct report *report, const char *group, const char *key, double value,
                   int decimals);

/// A whole number, however large.
void report_count(struct report *report, const char *key, uint64_t count);

/// Says that the measurement failed, and why.
void report_fail(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/// Prints the failures to standard error, and the figures or the JSON object to standard output.
void report_print(const struct report *report, const char *scenario, const char *url, bool is_json);
