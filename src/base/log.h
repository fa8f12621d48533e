// SPDX-License-Identifier: MIT
//
// The log: one line a record, on standard error. A record has a time, a level, a text and fields,
// as `key=value` pairs or as one JSON object. A record is one line whatever its values hold, except
// with --dev, where a traceback keeps its lines. Quotes, control characters and characters that
// turn the direction of a line are escaped, bytes that are not UTF-8 are shown as \u00ff, and of a
// text over 16 KiB only the beginning is written. Each thread gathers its records. `log_flush`
// writes them in one go; the loop calls it at the end of each turn, and a warning or an error is
// written at once. Records of several threads do not mix, even when standard error takes only a
// part.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_SILENT };
enum log_format { LOG_TEXT, LOG_JSON };
enum log_type {
    LOG_FIELD_BYTES,
    LOG_FIELD_LINES,
    LOG_FIELD_INT,
    LOG_FIELD_MICROSECONDS,
    LOG_FIELD_JSON
};

struct log_field;

/// Where records go instead of standard error: an environment may have one (environment.h).
struct log_sink {
    enum log_level level;
    enum log_format format;
    bool has_lines; // the lines of a `log_lines` stand on lines of their own
    /// Takes a record; its texts are valid until this returns. NULL: standard error.
    void (*take)(struct log_sink *sink, enum log_level level, struct bytes text,
                 const struct log_field *fields, size_t count);
};

/// One `key=value`. The key is a plain word. A duration in microseconds is shown in milliseconds
/// with three decimals. A value that is JSON already is a part of the record in the JSON log, and
/// the text that it is in the other, or where it is too long. The bytes of a value are read before
/// the log call returns.
struct log_field {
    struct bytes key;
    struct bytes text;
    int64_t number;
    enum log_type type;
};

static inline struct log_field log_bytes(const char *key, struct bytes text)
{
    return (struct log_field){.key = bytes_from_string(key), .text = text};
}

static inline struct log_field log_string(const char *key, const char *text)
{
    return log_bytes(key, bytes_from_string(text));
}

/// A value of several lines, such as a traceback. See `log_show_lines`.
static inline struct log_field log_lines(const char *key, struct bytes text)
{
    return (struct log_field){.key = bytes_from_string(key), .text = text, .type = LOG_FIELD_LINES};
}

static inline struct log_field log_json(const char *key, struct bytes json)
{
    return (struct log_field){.key = bytes_from_string(key), .text = json, .type = LOG_FIELD_JSON};
}

static inline struct log_field log_int(const char *key, int64_t number)
{
    return (struct log_field){
        .key = bytes_from_string(key), .number = number, .type = LOG_FIELD_INT};
}

static inline struct log_field log_duration(const char *key, int64_t microseconds)
{
    return (struct log_field){
        .key = bytes_from_string(key), .number = microseconds, .type = LOG_FIELD_MICROSECONDS};
}

/// Sets what is written and how, in the calling thread's environment, before there are threads.
/// Before the first call: LOG_INFO, LOG_TEXT.
void log_configure(enum log_level level, enum log_format format);

/// In the text log, the lines of a `log_lines` behind its first one stand on lines of their own
/// from now on, indented: for a person who reads it as it is written. Before there are threads.
void log_show_lines(void);

/// Parses "debug", "info", "warn", "error" or "silent"; false for anything else.
bool log_level_parse(const char *text, enum log_level *level);

/// "debug", "info", "warn", "error".
const char *log_level_name(enum log_level level);

bool log_is_on(enum log_level level);

/// Writes one record with `count` fields.
void log_record(enum log_level level, struct bytes text, const struct log_field *fields,
                size_t count);

/// Writes why the program cannot do what it was started for, at any level: as "lunesse: ..." on one
/// line, or as a record where the log is JSON or goes to a sink.
void log_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Writes `text` as it is, in its place between the records: what a script writes to standard
/// error. It goes to standard error, whatever sink the records have.
void log_raw(struct bytes text);

/// Writes what was gathered. Never blocks for long: lines that standard error does not take in time
/// are lost, and their number is logged when it takes lines again.
void log_flush(void);

/// Writes what was gathered and frees what the calling thread has for it.
void log_finish(void);

/// `LOG(LOG_INFO, "text", log_int("port", 3000), ...)` with at least one field.
#define LOG(level, text, ...)                                                                      \
    do {                                                                                           \
        if (log_is_on(level)) {                                                                    \
            const struct log_field log_fields_[] = {__VA_ARGS__};                                  \
            log_record(level, bytes_from_string(text), log_fields_,                                \
                       sizeof(log_fields_) / sizeof(log_fields_[0]));                              \
        }                                                                                          \
    } while (0)
