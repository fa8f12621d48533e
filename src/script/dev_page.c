// SPDX-License-Identifier: MIT
//
// A page is put together in a buf, from the front: the title and the message, the lines around the
// failure, which are read from the file at that moment, the traceback, and the script that asks for
// newer code. Everything that comes from a script or a file is escaped. Where there is no memory a
// part of the page is left out.
#include "script/dev_page.h"

#include "base/buf.h"
#include "http/exchange.h"
#include "script/chunk.h"

#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    AROUND = 4,           // lines shown before and after the one that failed
    CODE_NAME_BYTES = 48, // room for the name of the code that a page is about
    PAGE_BYTES_MAX = 1024 * 1024,
    NUMBER_BYTES = 32, // room for a line's number and what stands around it
};

#define CODE_FIELD "Lunesse-Code"

static bool is_named_by(struct bytes message, const lua_Debug *frame);
static void keep_location(struct location *location, const lua_Debug *frame);
static void begin(struct buf *page, const char *title, struct bytes head);
static void append_around(struct buf *page, const struct location *location);
static bool read_line(FILE *file, struct buf *line);
static void append_line(struct buf *page, int number, struct bytes line, bool is_marked);
static void append_poll(struct buf *page, uint64_t number);
static void name_code(char name[CODE_NAME_BYTES], uint64_t number);
static void append(struct buf *page, struct bytes bytes);
static void append_escaped(struct buf *page, struct bytes text);
static void end(struct exchange *exchange, struct buf *page);

struct location location_of_failure(lua_State *L, struct bytes message)
{
    struct location location = {.line = 0};
    lua_Debug frame;
    for (int level = 0; lua_getstack(L, level, &frame) == 1; level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.source[0] != '@' || frame.currentline <= 0) {
            continue; // C, or the engine's own Lua
        }
        bool is_named = is_named_by(message, &frame);
        if (location.line == 0 || is_named) {
            keep_location(&location, &frame);
        }
        if (is_named) {
            break;
        }
    }
    return location;
}

struct location location_of_route(const char *source)
{
    struct location location = {.line = 0};
    const char *colon = source == NULL ? NULL : strrchr(source, ':');
    if (colon != NULL) {
        snprintf(location.file, sizeof(location.file), "%.*s", (int)(colon - source), source);
        location.line = (int)strtol(colon + 1, NULL, 10);
    }
    return location;
}

bool dev_page_is_wanted(const struct exchange *exchange)
{
    const struct request *request = exchange->request;
    return bytes_equal(request->method, BYTES("GET")) &&
           request_quality(request, BYTES("text/html")) >
               request_quality(request, BYTES("text/plain"));
}

void dev_page_send(struct exchange *exchange, uint64_t number, struct bytes message,
                   const struct location *location)
{
    struct buf page;
    DCHECK(exchange->response.state == RESPONSE_FRESH);
    begin(&page, "The handler failed", BYTES(""));
    const char *end_of_first = memchr(message.at, '\n', message.len);
    size_t first_len = end_of_first == NULL ? message.len : (size_t)(end_of_first - message.at);
    append(&page, BYTES("<p><b>"));
    append_escaped(&page, bytes_of(message.at, first_len));
    append(&page, BYTES("</b></p>"));
    if (location->line > 0) {
        append_around(&page, location);
    }
    append(&page, BYTES("<pre>"));
    append_escaped(&page, bytes_skip(message, first_len));
    append(&page, BYTES("</pre><p>The page follows by itself when there is newer code.</p>\n"));
    append_poll(&page, number);
    end(exchange, &page);
}

/// This page refreshes itself as a whole, which runs no handler while the scripts are broken.
void dev_page_send_broken(struct exchange *exchange, struct bytes why)
{
    struct buf page;
    DCHECK(exchange->response.state == RESPONSE_FRESH && why.len > 0);
    begin(&page, "The scripts could not be loaded", BYTES("<meta http-equiv=refresh content=1>"));
    append(&page, BYTES("<pre>"));
    append_escaped(&page, why);
    append(&page, BYTES("</pre><p>The code before it goes on; this page follows when it is "
                        "mended.</p>\n"));
    end(exchange, &page);
}

bool dev_page_asks(const struct exchange *exchange)
{
    struct bytes code;
    return request_field(exchange->request, BYTES(CODE_FIELD), &code);
}

void dev_page_answer(struct exchange *exchange, uint64_t number, bool is_latest)
{
    char name[CODE_NAME_BYTES];
    struct bytes code = BYTES("");
    DCHECK(dev_page_asks(exchange));
    IGNORE(request_field(exchange->request, BYTES(CODE_FIELD),
                         &code)); // without the field the code counts as older
    name_code(name, number);
    bool is_same = is_latest && bytes_equal(code, bytes_from_string(name));
    exchange->response.status = is_same ? 204 : 205;
    IGNORE(exchange_send(exchange, BYTES(""))); // the response is fresh, so it is taken
}

/// Whether the message begins with the location of the frame, as "scripts/clock.lua:9: no such
/// thing" does.
static bool is_named_by(struct bytes message, const lua_Debug *frame)
{
    char start[LUA_IDSIZE + NUMBER_BYTES];
    int len = snprintf(start, sizeof(start), "%s:%d:", frame->short_src, frame->currentline);
    return message.len >= (size_t)len && memcmp(message.at, start, (size_t)len) == 0;
}

static void keep_location(struct location *location, const lua_Debug *frame)
{
    snprintf(location->file, sizeof(location->file), "%s", frame->source + 1);
    location->line = frame->currentline;
}

static void begin(struct buf *page, const char *title, struct bytes head)
{
    buf_init(page, PAGE_BYTES_MAX);
    append(page, BYTES("<!doctype html><meta charset=utf-8><title>"));
    append(page, bytes_from_string(title));
    append(page, BYTES("</title>"));
    append(page, head);
    append(page, BYTES("<meta name=viewport content='width=device-width'>"
                       "<meta name=color-scheme content='light dark'>"
                       "<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem}"
                       "pre{overflow:auto}mark{display:inline-block;min-width:100%}</style><h1>"));
    append(page, bytes_from_string(title));
    append(page, BYTES("</h1>"));
}

/// Appends the lines around the location, as the file is now. If the file cannot be read, only its
/// name and the line are shown.
static void append_around(struct buf *page, const struct location *location)
{
    char number[NUMBER_BYTES];
    struct buf line;
    DCHECK(location->line > 0 && location->file[0] != '\0');
    FILE *file = chunk_file(location->file);
    buf_init(&line, PAGE_BYTES_MAX);
    append(page, BYTES("<p>"));
    append_escaped(page, bytes_from_string(location->file));
    snprintf(number, sizeof(number), ", line %d</p><pre>", location->line);
    append(page, bytes_from_string(number));
    for (int i = 1; file != NULL && i <= location->line + AROUND && read_line(file, &line); i++) {
        if (i >= location->line - AROUND) {
            append_line(page, i, buf_bytes(&line), i == location->line);
        }
    }
    append(page, BYTES("</pre>"));
    buf_reset(&line);
    if (file != NULL) {
        fclose(file);
    }
}

/// Reads a line; false at the end of the file. A line that is longer than a page may be is cut.
static bool read_line(FILE *file, struct buf *line)
{
    int byte = EOF;
    buf_clear(line);
    while (byte != '\n' && (byte = getc(file)) != EOF) {
        char character = (char)byte;
        append(line, bytes_of(&character, 1));
    }
    return !buf_is_empty(line);
}

static void append_line(struct buf *page, int number, struct bytes line, bool is_marked)
{
    char text[NUMBER_BYTES];
    bool has_end = line.len > 0 && line.at[line.len - 1] == '\n';
    snprintf(text, sizeof(text), "%s%4d  ", is_marked ? "<mark>" : "", number);
    append(page, bytes_from_string(text));
    append_escaped(page, bytes_of(line.at, line.len - has_end));
    append(page, is_marked ? BYTES("</mark>\n") : BYTES("\n"));
}

static void append_poll(struct buf *page, uint64_t number)
{
    char name[CODE_NAME_BYTES];
    name_code(name, number);
    append(page, BYTES("<script>setInterval(() => fetch(location.href, { cache: 'no-store', "
                       "headers: { '" CODE_FIELD "': '"));
    append(page, bytes_from_string(name));
    append(page, BYTES("' } }).then(answer => { if (answer.status !== 204) location.reload() }, "
                       "() => {}), 1000)</script>\n"));
}

/// Names the code by the process and the number of the generation. The number alone would be the
/// same after a restart of the program.
static void name_code(char name[CODE_NAME_BYTES], uint64_t number)
{
    snprintf(name, CODE_NAME_BYTES, "%ld-%llu", (long)getpid(), (unsigned long long)number);
}

/// Appends as much as the buf takes. A page that is too long is cut.
static void append(struct buf *page, struct bytes bytes)
{
    IGNORE(buf_append(page, bytes));
}

static void append_escaped(struct buf *page, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.at[i];
        append(page, byte == '<'   ? BYTES("&lt;")
                     : byte == '&' ? BYTES("&amp;")
                                   : bytes_of(text.at + i, 1));
    }
}

static void end(struct exchange *exchange, struct buf *page)
{
    struct response *response = &exchange->response;
    response->status = 500;
    // A field is left out if the fields of middlewares have left no room for it.
    IGNORE(response_set_field(response, BYTES("Content-Type"), BYTES("text/html; charset=utf-8")));
    IGNORE(response_set_field(response, BYTES("Cache-Control"), BYTES("no-store")));
    IGNORE(exchange_send(exchange, buf_bytes(page))); // or the peer has gone
    buf_reset(page);
}
