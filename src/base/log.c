// SPDX-License-Identifier: MIT
//
// A record is written into the calling thread's `gathered`, in room that was reserved for all of
// it, so its pieces are appended without a check each. `log_flush` takes the lock that standard
// output and standard error share, and writes what standard error accepts without waiting.
//
// Standard error may accept half of a record. The other half goes into `rest`, which all threads
// share, and the next thread that writes begins with it: so records of two threads never mix. When
// a thread has gathered too much, its records are dropped and counted, and the count is logged
// later.
#include "base/log.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/decimal.h"
#include "base/environment.h"
#include "base/json_escape.h"
#include "base/mem.h"
#include "base/outlet.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_GATHER_BYTES = 32 * 1024,
    LOG_BYTES_MAX = 8 * 1024 * 1024,
    LOG_TIME_LEN = 24,       // 2026-01-31T12:34:56.789Z
    RECORD_FRAME_BYTES = 96, // time, level, quotes, braces
    FIELD_FRAME_BYTES = 48,  // separators, quotes, a number
    TEXT_BYTES_MAX = 16 * 1024,
};

/// Where the records of an environment without a sink of its own go.
static struct log_sink standard_error = {.level = LOG_INFO, .format = LOG_TEXT};

/// The records that a thread has gathered and not written.
static _Thread_local struct log {
    struct buf gathered;
    int64_t lost_count;
    char *at; // where the next byte of the record goes: in room that was reserved for all of it
    time_t second; // the second that `time_text` shows
    char time_text[LOG_TIME_LEN + 1];
} the_log = {.gathered = {._max = LOG_BYTES_MAX}};

/// The rest of a record that was half written. The next thread that writes begins with it.
static struct buf rest = {._max = LOG_BYTES_MAX};
static atomic_bool has_rest; // can be read without the lock

static const char *const level_names[] = {"debug", "info", "warn", "error", "silent"};

static_assert(sizeof(level_names) / sizeof(level_names[0]) == LOG_SILENT + 1,
              "each level has a name");

static inline struct log_sink *sink(void);
static bool begin_record(struct bytes text, const struct log_field *fields, size_t count);
static struct bytes clipped(struct bytes text);
static void end_record(void);
static inline void append(struct bytes bytes);
static void append_time(void);
static void append_start(enum log_level level, struct bytes text);
static void append_field(const struct log_field *field);
static void append_plain(struct bytes json);
static void append_number(const struct log_field *field);
static void append_value(struct bytes text);
static void append_lines(struct bytes text);
static void append_quoted(struct bytes text);
static void append_escaped(uint32_t character);
static uint32_t unseen(const unsigned char *at, size_t *len);
static bool has_special(struct bytes text, unsigned char lowest);
static void write_out(void);
static void write_some(struct buf *buf, bool *is_whole);
static void keep_rest(void);
static void report_lost(void);

void log_configure(enum log_level level, enum log_format format)
{
    DCHECK(level <= LOG_SILENT && format <= LOG_JSON);
    sink()->level = level;
    sink()->format = format;
    IGNORE(buf_append_shared(&rest, BYTES(""))); // so that it has room for the end of a line
}

void log_show_lines(void)
{
    sink()->has_lines = true;
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (int i = LOG_DEBUG; i <= LOG_SILENT; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_is_on(enum log_level level)
{
    return level >= sink()->level;
}

void log_record(enum log_level level, struct bytes text, const struct log_field *fields,
                size_t count)
{
    struct log_sink *to = sink();
    DCHECK(level <= LOG_SILENT);
    DCHECK(count == 0 || fields != NULL);
    if (level < to->level) {
        return;
    }
    if (to->take != NULL) {
        to->take(to, level, text, fields, count);
        return;
    }
    if (buf_len(&the_log.gathered) > LOG_BYTES_MAX / 2) {
        the_log.lost_count++;
        return;
    }
    if (!begin_record(text, fields, count)) {
        the_log.lost_count++;
        return;
    }
    append_start(level, clipped(text));
    for (size_t i = 0; i < count; i++) {
        append_field(&fields[i]);
    }
    end_record();
    if (level >= LOG_WARN || buf_len(&the_log.gathered) >= LOG_GATHER_BYTES) {
        log_flush();
    }
}

void log_complain(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    char *text = mem_format(format, values);
    va_end(values);
    struct bytes bytes = bytes_from_string(text);
    if (sink()->take != NULL) {
        sink()->take(sink(), LOG_ERROR, bytes, NULL, 0);
    } else if (sink()->format != LOG_JSON) {
        log_flush(); // what the scripts logged comes before it
        fprintf(stderr, "lunesse: %s\n", text);
    } else if (begin_record(bytes, NULL, 0)) {
        append_start(LOG_ERROR, clipped(bytes));
        end_record();
        log_flush();
    }
    mem_free(text);
}

void log_raw(struct bytes text)
{
    bool is_full = buf_len(&the_log.gathered) > LOG_BYTES_MAX / 2;
    if (is_full || !buf_append(&the_log.gathered, text)) {
        the_log.lost_count++;
    }
    log_flush();
}

void log_flush(void)
{
    if (buf_is_empty(&the_log.gathered) && !has_rest) {
        return;
    }
    write_out();
    if (the_log.lost_count > 0 && buf_is_empty(&the_log.gathered)) {
        report_lost();
        write_out();
    }
}

void log_finish(void)
{
    log_flush();
    buf_reset(&the_log.gathered);
}

static inline struct log_sink *sink(void)
{
    struct log_sink *of_environment = environment_here->log;
    return of_environment == NULL ? &standard_error : of_environment;
}

/// Reserves the most that the record can take, so that `append` needs no check. False when there is
/// no room.
static bool begin_record(struct bytes text, const struct log_field *fields, size_t count)
{
    size_t size = RECORD_FRAME_BYTES + clipped(text).len * JSON_ESCAPE_LEN_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t value_len = clipped(fields[i].text).len;
        size += FIELD_FRAME_BYTES + fields[i].key.len + value_len * JSON_ESCAPE_LEN_MAX;
    }
    the_log.at = buf_reserve(&the_log.gathered, size);
    return the_log.at != NULL;
}

/// The beginning of a long text: a line of the log is for people to read.
static struct bytes clipped(struct bytes text)
{
    return text.len <= TEXT_BYTES_MAX ? text : bytes_of(text.at, TEXT_BYTES_MAX);
}

static void end_record(void)
{
    append(sink()->format == LOG_JSON ? BYTES("}\n") : BYTES("\n"));
    struct bytes before = buf_bytes(&the_log.gathered);
    DCHECK(the_log.at > before.at + before.len);
    buf_commit(&the_log.gathered, (size_t)(the_log.at - (before.at + before.len)));
}

static inline void append(struct bytes bytes)
{
    DCHECK(the_log.at != NULL);
    memcpy(the_log.at, bytes.at, bytes.len);
    the_log.at += bytes.len;
}

static void append_start(enum log_level level, struct bytes text)
{
    if (sink()->format == LOG_JSON) {
        append(BYTES("{\"time\":\""));
        append_time();
        append(BYTES("\",\"level\":\""));
        append(bytes_from_string(level_names[level]));
        append(BYTES("\",\"text\":"));
        append_quoted(text);
        return;
    }
    append_time();
    append(BYTES(" "));
    append(bytes_from_string(level_names[level]));
    append(BYTES(" "));
    if (has_special(text, ' ')) {
        append_quoted(text);
    } else {
        append(text);
    }
}

/// The second is formatted once; only the milliseconds are new in each record.
static void append_time(void)
{
    struct timespec now = environment_time(CLOCK_REALTIME);
    if (now.tv_sec != the_log.second || the_log.time_text[0] == '\0') {
        struct tm parts;
        gmtime_r(&now.tv_sec, &parts);
        size_t len = strftime(the_log.time_text, sizeof(the_log.time_text), "%FT%T.000Z", &parts);
        DCHECK(len == LOG_TIME_LEN);
        the_log.second = now.tv_sec;
    }
    int milliseconds = (int)(now.tv_nsec / 1000000);
    the_log.time_text[20] = (char)('0' + milliseconds / 100);
    the_log.time_text[21] = (char)('0' + milliseconds / 10 % 10);
    the_log.time_text[22] = (char)('0' + milliseconds % 10);
    append(bytes_of(the_log.time_text, LOG_TIME_LEN));
}

static void append_field(const struct log_field *field)
{
    bool is_json = sink()->format == LOG_JSON;
    append(is_json ? BYTES(",\"") : BYTES(" "));
    append(field->key);
    append(is_json ? BYTES("\":") : BYTES("="));
    if (field->type == LOG_FIELD_INT || field->type == LOG_FIELD_MICROSECONDS) {
        append_number(field);
    } else if (is_json && field->type == LOG_FIELD_JSON && field->text.len <= TEXT_BYTES_MAX) {
        append_plain(field->text);
    } else if (is_json) {
        append_quoted(clipped(field->text));
    } else if (field->type == LOG_FIELD_LINES && sink()->has_lines) {
        append_lines(clipped(field->text));
    } else {
        append_value(clipped(field->text));
    }
}

/// Appends JSON as it is. It has its quotes and escapes already, so only characters that a terminal
/// must not get are escaped.
static void append_plain(struct bytes json)
{
    size_t plain = 0;
    for (size_t i = 0; i < json.len; i++) {
        size_t len = 1;
        uint32_t character = 0;
        if ((unsigned char)json.at[i] >= 0x7f) {
            character =
                json.at[i] == 0x7f ? 0x7f : unseen((const unsigned char *)json.at + i, &len);
        }
        if (character != 0) {
            append(bytes_of(json.at + plain, i - plain));
            append_escaped(character);
            i += len - 1;
            plain = i + 1;
        }
    }
    append(bytes_of(json.at + plain, json.len - plain));
}

/// A duration of 1234 microseconds is 1.234 milliseconds.
static void append_number(const struct log_field *field)
{
    char text[DECIMAL_LEN_MAX];
    bool is_negative = field->number < 0;
    uint64_t number = is_negative ? 0 - (uint64_t)field->number : (uint64_t)field->number;
    if (is_negative) {
        append(BYTES("-"));
    }
    if (field->type != LOG_FIELD_MICROSECONDS) {
        append(bytes_of(text, decimal_write(number, text)));
        return;
    }
    append(bytes_of(text, decimal_write(number / 1000, text)));
    append(BYTES("."));
    size_t len = decimal_write(1000 + number % 1000, text); // the 1 keeps the leading zeros
    append(bytes_of(text + 1, len - 1));
}

/// Appends the value bare, or in quotes where a bare one could be misread.
static void append_value(struct bytes text)
{
    if (text.len == 0 || has_special(text, '!') || memchr(text.at, '=', text.len) != NULL) {
        append_quoted(text);
        return;
    }
    append(text);
}

/// Appends each line as a value of its own. A tab in front of a line, as tracebacks have, indents
/// it. A line end becomes three bytes and the quotes are two, so the JSON_ESCAPE_LEN_MAX bytes that
/// were reserved for each byte are enough.
static void append_lines(struct bytes text)
{
    bool is_first = true;
    while (text.len > 0) {
        const char *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        struct bytes line = bytes_of(text.at, len);
        text = bytes_skip(text, end == NULL ? len : len + 1);
        if (!is_first) {
            append(BYTES("\n  "));
        }
        if (!is_first && line.len > 0 && line.at[0] == '\t') {
            append(BYTES("    "));
            line = bytes_skip(line, 1);
        }
        if (has_special(line, is_first ? '!' : ' ')) {
            append_quoted(line);
        } else {
            append(line);
        }
        is_first = false;
    }
}

static bool has_special(struct bytes text, unsigned char lowest)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (byte < lowest || byte == '"' || byte == '\\' || byte >= 0x7f) {
            return true;
        }
    }
    return false;
}

static void append_quoted(struct bytes text)
{
    append(BYTES("\""));
    size_t plain = 0;
    size_t utf8_end = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (byte >= 0x80 && i >= utf8_end) {
            utf8_end = i + utf8_valid_prefix(bytes_skip(text, i));
        }
        bool is_plain = json_is_plain(text.at[i]) && byte != 0x7f;
        bool is_utf8 = byte >= 0x80 && i < utf8_end;
        size_t len = 1;
        uint32_t character = is_utf8 ? unseen((const unsigned char *)text.at + i, &len) : byte;
        if (is_plain && (byte < 0x80 || (is_utf8 && character == 0))) {
            continue;
        }
        append(bytes_of(text.at + plain, i - plain));
        append_escaped(character);
        i += len - 1;
        plain = i + 1;
    }
    append(bytes_of(text.at + plain, text.len - plain));
    append(BYTES("\""));
}

/// The character that begins at `at` if it must not reach a terminal as it is: C1 controls
/// (U+0080 to U+009F), which terminals obey, and the marks, separators, embeddings and isolates
/// that show the rest of a line in another order (Unicode Standard Annex #9). 0 for any other
/// character, and in the middle of one. The text is valid UTF-8, so a first byte has its others.
static uint32_t unseen(const unsigned char *at, size_t *len)
{
    uint32_t character = 0;
    if (at[0] == 0xc2 && at[1] <= 0x9f) {
        *len = 2;
        return at[1];
    }
    if (at[0] == 0xd8 && at[1] == 0x9c) {
        *len = 2;
        return 0x61c;
    }
    if (at[0] == 0xe2) {
        character = 0x2000 | (uint32_t)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);
    }
    if (character == 0x200e || character == 0x200f ||
        (character >= 0x2028 && character <= 0x202e) ||
        (character >= 0x2066 && character <= 0x2069)) {
        *len = 3;
        return character;
    }
    return 0;
}

/// Appends an escape. Bytes that are not UTF-8 are shown as code points of Latin-1, so the log is
/// valid JSON whatever a peer has sent.
static void append_escaped(uint32_t character)
{
    char text[JSON_ESCAPE_LEN_MAX];
    append(bytes_of(text, json_write_escape(character, text)));
}

static void write_out(void)
{
    outlet_lock();
    bool is_whole = true;
    write_some(&rest, &is_whole);
    if (buf_is_empty(&rest)) {
        write_some(&the_log.gathered, &is_whole);
    }
    if (!is_whole && buf_is_empty(&rest)) {
        keep_rest();
    }
    has_rest = !buf_is_empty(&rest);
    outlet_unlock();
}

/// Writes what standard error takes of `buf`. `is_whole` says whether it ended with a whole record.
static void write_some(struct buf *buf, bool *is_whole)
{
    char last = '\0';
    if (outlet_write(STDERR_FILENO, buf, &last) != 0) {
        buf_clear(buf);
        *is_whole = true;
    } else if (last != '\0') {
        *is_whole = last == '\n';
    }
}

/// Moves the end of the half-written record to `rest`. This thread may log nothing for long, and no
/// other thread can write before that record is complete.
static void keep_rest(void)
{
    DCHECK(buf_is_empty(&rest));
    struct bytes bytes = buf_bytes(&the_log.gathered);
    const char *end = bytes.len == 0 ? NULL : memchr(bytes.at, '\n', bytes.len);
    if (end != NULL) {
        bytes.len = (size_t)(end + 1 - bytes.at);
        if (!buf_append_shared(&rest, bytes)) {
            IGNORE(buf_append_shared(&rest, BYTES("\n"))); // no memory: the record is cut
            the_log.lost_count++;
        }
        buf_consume(&the_log.gathered, bytes.len);
    }
}

static void report_lost(void)
{
    struct log_field field = log_int("lines", the_log.lost_count);
    struct bytes text = BYTES("log lines lost: standard error is not being read");
    the_log.lost_count = 0;
    if (begin_record(text, &field, 1)) {
        append_start(LOG_WARN, text);
        append_field(&field);
        end_record();
    }
}
