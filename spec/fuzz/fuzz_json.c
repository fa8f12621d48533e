// SPDX-License-Identifier: MIT
//
// Any text as JSON. What the reader takes is written again token by token, and read again: the
// tokens are the same, and a second writing is the same text.
#include "fuzz.h"

#include "base/error.h"
#include "wire/json_position.h"
#include "wire/json_reader.h"
#include "wire/json_string.h"

#include <math.h>

enum { TEXT_MAX = 64 * 1024 };

static bool rewrite(struct bytes text, struct buf *out);
static bool is_end(enum json_kind kind);
static void write_token(const struct json_token *token, struct buf *out);
static void write_string(const struct json_token *token, struct buf *out);
static void write_number(const struct json_number *number, struct buf *out);
static void check_place(const struct json_reader *reader, int failure);
static void add(struct buf *out, struct bytes bytes);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct buf first;
    struct buf second;
    if (len > TEXT_MAX) {
        return 0;
    }
    buf_init(&first, 10 * TEXT_MAX);
    buf_init(&second, 10 * TEXT_MAX);
    if (rewrite(bytes_of((const char *)at, len), &first)) {
        CHECK(rewrite(buf_bytes(&first), &second));
        CHECK(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    }
    buf_reset(&first);
    buf_reset(&second);
    return 0;
}

/// Returns false if the text is no JSON. Writes one token a line, so separators need not be
/// restored.
static bool rewrite(struct bytes text, struct buf *out)
{
    struct json_reader reader;
    struct json_token token;
    bool is_first = true;
    json_reader_init(&reader, text);
    for (;;) {
        int failure = json_next(&reader, &token);
        CHECK(reader.at <= text.len && reader.depth <= JSON_DEPTH_MAX);
        if (failure != 0) {
            check_place(&reader, failure);
            return false;
        }
        if (token.kind == JSON_END) {
            return true;
        }
        if (!is_first && !is_end(token.kind)) {
            add(out, BYTES(","));
        }
        write_token(&token, out);
        is_first = token.kind == JSON_ARRAY || token.kind == JSON_OBJECT || token.kind == JSON_KEY;
    }
}

static bool is_end(enum json_kind kind)
{
    return kind == JSON_ARRAY_END || kind == JSON_OBJECT_END;
}

static void write_token(const struct json_token *token, struct buf *out)
{
    static const struct bytes words[] = {
        [JSON_NULL] = {"null", 4},    [JSON_FALSE] = {"false", 5}, [JSON_TRUE] = {"true", 4},
        [JSON_ARRAY] = {"[", 1},      [JSON_ARRAY_END] = {"]", 1}, [JSON_OBJECT] = {"{", 1},
        [JSON_OBJECT_END] = {"}", 1},
    };
    if (token->kind == JSON_NUMBER) {
        write_number(&token->number, out);
    } else if (token->kind == JSON_STRING || token->kind == JSON_KEY) {
        write_string(token, out);
        add(out, token->kind == JSON_KEY ? BYTES(":") : BYTES(""));
    } else {
        add(out, words[token->kind]);
    }
}

/// Writes in pieces of the smallest size, so that a cut falls at every place.
static void write_string(const struct json_token *token, struct buf *out)
{
    char meaning[TEXT_MAX];
    char piece[JSON_ESCAPE_LEN_MAX];
    struct bytes rest = bytes_of(meaning, json_unescape(token->text, meaning));
    CHECK(token->has_escapes || bytes_equal(rest, token->text));
    add(out, BYTES("\""));
    while (rest.len > 0) {
        add(out, bytes_of(piece, json_escape(&rest, piece, sizeof(piece))));
    }
    add(out, BYTES("\""));
}

static void write_number(const struct json_number *number, struct buf *out)
{
    char text[JSON_NUMBER_LEN_MAX];
    struct json_number again;
    size_t at = 0;
    if (number->form == JSON_DIGITS) {
        add(out, number->digits);
        return;
    }
    size_t len = number->form == JSON_INTEGER ? json_integer_write(number->integer, text)
                                              : json_double_write(number->number, text);
    CHECK(json_number_read(bytes_of(text, len), &at, &again) == 0);
    CHECK(at == len && again.form == number->form);
    if (number->form == JSON_INTEGER) {
        CHECK(again.integer == number->integer);
    } else {
        CHECK(again.number == number->number && signbit(again.number) == signbit(number->number));
    }
    add(out, bytes_of(text, len));
}

static void check_place(const struct json_reader *reader, int failure)
{
    struct json_position place = json_position(reader->text, reader->at);
    CHECK(error_text(failure) != NULL);
    CHECK(place.line >= 1 && place.column >= 1);
    CHECK(place.line + place.column <= reader->at + 2);
}

static void add(struct buf *out, struct bytes bytes)
{
    CHECK(buf_append(out, bytes));
}
