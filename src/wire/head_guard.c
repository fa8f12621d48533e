// SPDX-License-Identifier: MIT
//
// The head half of the guard. Each state takes as long a run as it can and names the next one:
//
//   START <-> START_LF                      empty lines
//     |
//   METHOD -> TARGET -> VERSION -> FIELD -> END_LF -> CLOSED
//                                  |   ^
//                                NAME  VALUE_LF
//                                  |   ^
//                              LEADING -> VALUE
//
// Every verdict falls at one byte and depends only on the bytes before it: cuts cannot change it.
#include "wire/guard.h"

#include "base/check.h"
#include "wire/octet.h"

#include <assert.h>
#include <string.h>

enum {
    EMPTY_LINES_MAX = 8,
    VERSION_LEN = 10, // with its CRLF
};

enum head_state {
    HEAD_START,
    HEAD_START_LF,
    HEAD_METHOD,
    HEAD_TARGET,
    HEAD_VERSION,
    HEAD_FIELD, // first byte of a line behind the request line
    HEAD_NAME,
    HEAD_LEADING, // optional white space in front of a value
    HEAD_VALUE,
    HEAD_VALUE_LF,
    HEAD_END_LF,
    HEAD_CLOSED,
};

/// What is left of the bytes of one call.
struct scan {
    struct head_guard *guard;
    const struct head_limits *limits;
    char *at;
    char *end;
};

static enum guard_result take_run(struct scan *scan);
static enum guard_result take_start(struct scan *scan);
static enum guard_result take_start_lf(struct scan *scan);
static enum guard_result take_method(struct scan *scan);
static enum guard_result take_target(struct scan *scan);
static enum guard_result take_version(struct scan *scan);
static const char *version_error(struct head_guard *guard, char byte);
static enum guard_result take_field(struct scan *scan);
static enum guard_result take_name(struct scan *scan);
static enum guard_result take_leading(struct scan *scan);
static enum guard_result take_value(struct scan *scan);
static char *skip_value(char *at, const char *end);
static void blank_trailing_tabs(char *at);
static enum guard_result take_lf(struct scan *scan, enum head_state next);
static enum guard_result step(struct scan *scan, enum head_state next);
static enum guard_result refuse(struct scan *scan, const char *why);
static enum guard_result over_head_bytes(const struct scan *scan);
static void check_state(const struct head_guard *guard, const struct head_limits *limits);

void head_guard_init(struct head_guard *guard)
{
    *guard = (struct head_guard){._state = HEAD_START};
}

bool head_guard_has_begun(const struct head_guard *guard)
{
    return guard->_state > HEAD_START_LF;
}

void head_guard_init_trailers(struct head_guard *guard)
{
    *guard = (struct head_guard){._state = HEAD_FIELD, ._keeps_tabs = true};
}

enum guard_result head_guard_take(struct head_guard *guard, char *at, size_t len,
                                  const struct head_limits *limits, size_t *taken)
{
    CHECK(guard->_state != HEAD_CLOSED);
    DEBUG_CALL(check_state(guard, limits));
    size_t room = limits->bytes - guard->byte_count;
    bool is_over = len > room;
    struct scan scan = {guard, limits, at, at + (is_over ? room : len)};
    enum guard_result result = GUARD_MORE;
    while (result == GUARD_MORE && scan.at < scan.end) {
        result = take_run(&scan);
    }
    *taken = (size_t)(scan.at - at);
    guard->byte_count += *taken;
    if (result == GUARD_MORE && is_over) {
        result = over_head_bytes(&scan);
    }
    if (result != GUARD_MORE) {
        guard->_state = HEAD_CLOSED;
    }
    DCHECK(*taken <= len);
    DCHECK((result == GUARD_BAD) == (guard->why != NULL));
    DEBUG_CALL(check_state(guard, limits));
    return result;
}

static enum guard_result take_run(struct scan *scan)
{
    DCHECK(scan->at < scan->end);
    switch ((enum head_state)scan->guard->_state) {
    case HEAD_START:
        return take_start(scan);
    case HEAD_START_LF:
        return take_start_lf(scan);
    case HEAD_METHOD:
        return take_method(scan);
    case HEAD_TARGET:
        return take_target(scan);
    case HEAD_VERSION:
        return take_version(scan);
    case HEAD_FIELD:
        return take_field(scan);
    case HEAD_NAME:
        return take_name(scan);
    case HEAD_LEADING:
        return take_leading(scan);
    case HEAD_VALUE:
        return take_value(scan);
    case HEAD_VALUE_LF:
        return take_lf(scan, HEAD_FIELD);
    case HEAD_END_LF:
        return take_lf(scan, HEAD_CLOSED);
    case HEAD_CLOSED:
        break;
    }
    UNREACHABLE();
}

static enum guard_result take_start(struct scan *scan)
{
    if (*scan->at == '\r') {
        return step(scan, HEAD_START_LF);
    }
    if (!octet_is(*scan->at, OCTET_TCHAR)) {
        return refuse(scan, "the request line does not start with a method (RFC 9112, section 3)");
    }
    return step(scan, HEAD_METHOD);
}

static enum guard_result take_start_lf(struct scan *scan)
{
    if (*scan->at == '\n' && scan->guard->_empty_lines == EMPTY_LINES_MAX) {
        return refuse(scan, "too many empty lines before the request line (RFC 9112, section 2.2)");
    }
    enum guard_result result = take_lf(scan, HEAD_START);
    scan->guard->_empty_lines++;
    return result;
}

static enum guard_result take_method(struct scan *scan)
{
    while (scan->at < scan->end && octet_is(*scan->at, OCTET_TCHAR)) {
        scan->at++;
    }
    if (scan->at == scan->end) {
        return GUARD_MORE;
    }
    if (*scan->at != ' ') {
        return refuse(scan, "the method is not a token and a space (RFC 9112, section 3.1)");
    }
    return step(scan, HEAD_TARGET);
}

static enum guard_result take_target(struct scan *scan)
{
    struct head_guard *guard = scan->guard;
    size_t room = scan->limits->target_bytes - guard->target_len;
    const char *stop = scan->end;
    if ((size_t)(scan->end - scan->at) > room) {
        stop = scan->at + room;
    }
    const char *start = scan->at;
    while (scan->at < stop && octet_is(*scan->at, OCTET_VCHAR)) {
        scan->at++;
    }
    guard->target_len += (size_t)(scan->at - start);
    if (scan->at == scan->end) {
        return GUARD_MORE;
    }
    if (octet_is(*scan->at, OCTET_VCHAR)) {
        return GUARD_TARGET_TOO_LONG;
    }
    if (*scan->at != ' ' || guard->target_len == 0) {
        return refuse(scan, "the target is not visible bytes and a space (RFC 9112, section 3.2)");
    }
    return step(scan, HEAD_VERSION);
}

static enum guard_result take_version(struct scan *scan)
{
    struct head_guard *guard = scan->guard;
    while (guard->_version_len < VERSION_LEN) {
        if (scan->at == scan->end) {
            return GUARD_MORE;
        }
        const char *error = version_error(guard, *scan->at);
        if (error != NULL) {
            return refuse(scan, error);
        }
        scan->at++;
        guard->_version_len++;
    }
    guard->_state = HEAD_FIELD;
    bool is_ours = guard->_major == '1' && (guard->_minor == '0' || guard->_minor == '1');
    return is_ours ? GUARD_MORE : GUARD_BAD_VERSION;
}

/// Looks at the next byte of `HTTP/1.1 CRLF`, where the digits may be any; NULL when it is right.
static const char *version_error(struct head_guard *guard, char byte)
{
    static const char wanted[] = "HTTP/1.1\r\n";
    static_assert(sizeof(wanted) - 1 == VERSION_LEN, "a version of one digit, point, digit");
    size_t place = guard->_version_len;
    DCHECK(place < VERSION_LEN);
    if (place == 5 || place == 7) {
        *(place == 5 ? &guard->_major : &guard->_minor) = byte;
        return octet_is(byte, OCTET_DIGIT) ? NULL : "malformed version (RFC 9112, section 2.3)";
    }
    if (byte == wanted[place]) {
        return NULL;
    }
    return place < 8 ? "malformed version (RFC 9112, section 2.3)"
                     : "the request line does not end in CRLF (RFC 9112, section 3)";
}

static enum guard_result take_field(struct scan *scan)
{
    struct head_guard *guard = scan->guard;
    if (*scan->at == '\r') {
        return step(scan, HEAD_END_LF);
    }
    if (octet_is_blank(*scan->at)) {
        return refuse(scan, "a folded or indented field line (RFC 9112, section 5.2)");
    }
    if (!octet_is(*scan->at, OCTET_TCHAR)) {
        return refuse(scan, "a field line without a name (RFC 9112, section 5)");
    }
    if (guard->field_count == scan->limits->fields) {
        return GUARD_TOO_MANY_FIELDS;
    }
    guard->field_count++;
    return step(scan, HEAD_NAME);
}

static enum guard_result take_name(struct scan *scan)
{
    while (scan->at < scan->end && octet_is(*scan->at, OCTET_TCHAR)) {
        scan->at++;
    }
    if (scan->at == scan->end) {
        return GUARD_MORE;
    }
    if (*scan->at != ':') {
        return refuse(scan, "a field name is not a token and a colon (RFC 9112, section 5.1)");
    }
    return step(scan, HEAD_LEADING);
}

static enum guard_result take_leading(struct scan *scan)
{
    while (scan->at < scan->end && octet_is_blank(*scan->at)) {
        if (*scan->at == '\t' && !scan->guard->_keeps_tabs) {
            *scan->at = ' ';
        }
        scan->at++;
    }
    scan->guard->_state = scan->at == scan->end ? HEAD_LEADING : HEAD_VALUE;
    return GUARD_MORE;
}

static enum guard_result take_value(struct scan *scan)
{
    scan->at = skip_value(scan->at, scan->end);
    if (scan->at == scan->end) {
        return GUARD_MORE;
    }
    if (*scan->at == '\n') {
        return refuse(scan, "a bare LF ends a field line (RFC 9112, section 2.2)");
    }
    if (*scan->at != '\r') {
        return refuse(scan, "a control byte in a field value (RFC 9110, section 5.5)");
    }
    if (!scan->guard->_keeps_tabs) {
        blank_trailing_tabs(scan->at);
    }
    return step(scan, HEAD_VALUE_LF);
}

/// The first byte from `at` on that cannot stand in a field value, or `end`. Eight bytes at a time:
/// a word passes when none of its bytes is below 0x20 or is 0x7f.
static char *skip_value(char *at, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones * 0x80;
    for (;;) {
        uint64_t word = 0;
        while (end - at >= 8) {
            memcpy(&word, at, 8);
            uint64_t del = word ^ ones * 0x7f;
            uint64_t stop = ((word - ones * 0x20) & ~word) | ((del - ones) & ~del);
            if ((stop & highs) != 0) {
                break;
            }
            at += 8;
        }
        const char *stop = end - at >= 8 ? at + 8 : end;
        while (at < stop && octet_is(*at, OCTET_VALUE)) {
            at++;
        }
        if (at < stop || at == end) {
            return at;
        }
    }
}

/// Turns the tabs that trail a value into spaces; `at` is the CR behind it. The colon in front of
/// the value, which is at the latest what stops the walk, belongs to the same head.
static void blank_trailing_tabs(char *at)
{
    for (char *last = at - 1; octet_is_blank(*last); last--) {
        *last = ' ';
    }
}

static enum guard_result take_lf(struct scan *scan, enum head_state next)
{
    if (*scan->at != '\n') {
        return refuse(scan, "a bare CR (RFC 9112, section 2.2)");
    }
    (void)step(scan, next);
    return next == HEAD_CLOSED ? GUARD_DONE : GUARD_MORE;
}

static enum guard_result step(struct scan *scan, enum head_state next)
{
    DCHECK(scan->at < scan->end);
    scan->at++;
    scan->guard->_state = (uint8_t)next;
    return GUARD_MORE;
}

static enum guard_result refuse(struct scan *scan, const char *why)
{
    DCHECK(why != NULL && scan->at < scan->end);
    scan->guard->why = why;
    return GUARD_BAD;
}

/// The verdict when the next byte, which is there, would pass `head_bytes`. A method or a target
/// that is not complete by then is itself too long (RFC 9112, section 3).
static enum guard_result over_head_bytes(const struct scan *scan)
{
    const struct head_guard *guard = scan->guard;
    if (guard->_state == HEAD_TARGET && octet_is(*scan->at, OCTET_VCHAR)) {
        bool is_full = guard->target_len == scan->limits->target_bytes;
        return is_full ? GUARD_TARGET_TOO_LONG : GUARD_TARGET_OVER_HEAD;
    }
    bool has_target = guard->_state > HEAD_TARGET || guard->target_len > 0;
    return has_target ? GUARD_HEAD_TOO_LARGE : GUARD_METHOD_TOO_LONG;
}

/// What holds in each state of the drawing, between two calls. A trailer section has no request
/// line, so the limits of a head are all that it shares with one.
static void check_state(const struct head_guard *guard, const struct head_limits *limits)
{
    bool is_trailers = guard->_keeps_tabs;
    CHECK(guard->byte_count <= limits->bytes);
    CHECK(guard->field_count <= limits->fields);
    CHECK(guard->target_len <= limits->target_bytes);
    switch ((enum head_state)guard->_state) {
    case HEAD_START:
    case HEAD_START_LF:
    case HEAD_METHOD:
        CHECK(!is_trailers && guard->target_len == 0);
        CHECK(guard->_empty_lines <= EMPTY_LINES_MAX);
        break;
    case HEAD_TARGET:
        CHECK(!is_trailers && guard->_version_len == 0);
        break;
    case HEAD_VERSION:
        CHECK(!is_trailers && guard->target_len > 0);
        break;
    case HEAD_NAME:
    case HEAD_LEADING:
    case HEAD_VALUE:
    case HEAD_VALUE_LF:
        CHECK(guard->field_count > 0);
        break;
    case HEAD_FIELD:
    case HEAD_END_LF:
        CHECK(is_trailers || guard->_version_len == VERSION_LEN);
        break;
    case HEAD_CLOSED:
        break;
    }
}
