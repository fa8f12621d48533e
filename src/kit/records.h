// SPDX-License-Identifier: MIT
//
// What an app logs: a list of records instead of lines on standard error. Owned by the app. Records
// stay until they are taken; beyond RECORDS_MAX they are counted and lost.
#pragma once

#include "base/list.h"
#include "base/log.h"

#include <stddef.h>
#include <stdint.h>

enum { RECORDS_MAX = 100000 };

/// A field of a record. Key and text are in the record's memory.
struct record {
    struct list node;
    enum log_level level;
    double time; // seconds since 1970, by the app's clock
    struct bytes text;
    size_t field_count;
    struct log_field fields[];
};

struct records {
    struct log_sink sink;
    struct list list; // struct record, the oldest first
    size_t count;
    size_t lost_count;
};

/// An empty list that takes what goes to its `sink`, from LOG_INFO on.
void records_init(struct records *records);
void records_deinit(struct records *records);

/// Takes the oldest record off the list, for the caller to free by `record_free`. NULL when there
/// is none.
struct record *records_take(struct records *records);
void record_free(struct record *record);

/// The texts of all errors in the list, and the fields "why" and "error" of these, one a line. To
/// be freed by `mem_free`.
char *records_errors(const struct records *records);
