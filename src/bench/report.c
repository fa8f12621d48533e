// SPDX-License-Identifier: MIT
//
// A figure goes into one array as it is added. Figures of one group were added one after the other,
// so `print_json` begins a new object where a figure has another group than the one before. Only
// the first failures are kept.
#include "bench/report.h"

#include "base/check.h"
#include "wire/json_string.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_WIDTH = 26, VALUE_WIDTH = 16, PIECE_BYTES = 256 };

static void print_json(const struct report *report, const char *scenario, const char *url);
static void print_table(const struct report *report, const char *scenario, const char *url);
static void print_text(const char *text);
static void print_value(const struct report_figure *figure, int width);
static bool is_same_group(const char *a, const char *b);
static size_t kept_failures(const struct report *report);
static void check_group(const struct report *report, const char *group);

void report_add(struct report *report, const char *key, double value, int decimals)
{
    report_add_to(report, NULL, key, value, decimals);
}

void report_add_to(struct report *report, const char *group, const char *key, double value,
                   int decimals)
{
    CHECK(report->_figure_count < REPORT_FIGURES_MAX);
    CHECK(key != NULL);
    CHECK(decimals >= 0);
    DEBUG_CALL(check_group(report, group));
    report->_figures[report->_figure_count++] =
        (struct report_figure){.group = group, .key = key, .value = value, .decimals = decimals};
}

void report_count(struct report *report, const char *key, uint64_t count)
{
    report_add(report, key, (double)count, 0);
}

void report_fail(struct report *report, const char *format, ...)
{
    if (report->failure_count++ >= REPORT_FAILURES_MAX) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report->_failures[report->failure_count - 1], REPORT_FAILURE_BYTES, format,
              arguments);
    va_end(arguments);
}

void report_print(const struct report *report, const char *scenario, const char *url, bool is_json)
{
    if (is_json) {
        print_json(report, scenario, url);
    } else {
        print_table(report, scenario, url);
    }
    (void)fflush(stdout); // what follows goes to standard error
    for (size_t i = 0; i < kept_failures(report); i++) {
        fprintf(stderr, "lunesse bench: %s\n", report->_failures[i]);
    }
    if (report->failure_count > REPORT_FAILURES_MAX) {
        fprintf(stderr, "lunesse bench: and %zu more\n",
                report->failure_count - REPORT_FAILURES_MAX);
    }
}

static void print_json(const struct report *report, const char *scenario, const char *url)
{
    const char *group = NULL;
    printf("{\"scenario\":\"%s\",\"url\":", scenario);
    print_text(url);
    for (size_t i = 0; i < report->_figure_count; i++) {
        const struct report_figure *figure = &report->_figures[i];
        bool is_inside = is_same_group(group, figure->group);
        if (!is_inside && group != NULL) {
            putchar('}');
        }
        putchar(',');
        if (!is_inside && figure->group != NULL) {
            printf("\"%s\":{", figure->group);
        }
        printf("\"%s\":", figure->key);
        print_value(figure, 0);
        group = figure->group;
    }
    fputs(group == NULL ? ",\"failures\":[" : "},\"failures\":[", stdout);
    for (size_t i = 0; i < kept_failures(report); i++) {
        fputs(i == 0 ? "" : ",", stdout);
        print_text(report->_failures[i]);
    }
    puts("]}");
}

static void print_table(const struct report *report, const char *scenario, const char *url)
{
    printf("%s  %s\n", scenario, url);
    for (size_t i = 0; i < report->_figure_count; i++) {
        const struct report_figure *figure = &report->_figures[i];
        char label[LABEL_WIDTH * 2];
        snprintf(label, sizeof(label), "%s%s%s", figure->group == NULL ? "" : figure->group,
                 figure->group == NULL ? "" : " ", figure->key);
        for (char *at = label; *at != '\0'; at++) {
            *at = *at == '_' ? ' ' : *at;
        }
        printf("  %-*s", LABEL_WIDTH, label);
        print_value(figure, VALUE_WIDTH);
        putchar('\n');
    }
}

/// Prints `text` as a JSON string. All texts here are ASCII, or what was typed on the command line.
static void print_text(const char *text)
{
    struct bytes rest = bytes_from_string(text);
    putchar('"');
    while (rest.len > 0) {
        char piece[PIECE_BYTES];
        size_t len = json_escape(&rest, piece, sizeof(piece));
        fwrite(piece, 1, len, stdout);
    }
    putchar('"');
}

static void print_value(const struct report_figure *figure, int width)
{
    if (isfinite(figure->value)) {
        printf("%*.*f", width, figure->decimals, figure->value);
    } else {
        printf("%*s", width, "null");
    }
}

static bool is_same_group(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static size_t kept_failures(const struct report *report)
{
    return report->failure_count < REPORT_FAILURES_MAX ? report->failure_count
                                                       : REPORT_FAILURES_MAX;
}

/// A group that is left is not entered again: it would be printed as two members of one name.
static void check_group(const struct report *report, const char *group)
{
    size_t i = report->_figure_count;
    while (i > 0 && is_same_group(report->_figures[i - 1].group, group)) {
        i--;
    }
    while (group != NULL && i > 0) {
        CHECK(!is_same_group(report->_figures[--i].group, group));
    }
}
