// SPDX-License-Identifier: MIT
//
// The reader looks at the first byte of each token; `expects` says which tokens may come, and a bit
// for each open level says whether it is an array. A token is read whole: strings and numbers by
// their own files, words here. Nothing is put together, so a text of any size can be read in
// slices.
#include "wire/json_reader.h"

#include "base/error.h"
#include "wire/json_string.h"
#include "wire/octet.h"

#include <assert.h>

/// Which token may come next.
enum {
    VALUE,        // at the start, behind a comma of an array or a colon
    VALUE_OR_END, // behind the bracket that opens an array
    KEY,          // behind a comma of an object
    KEY_OR_END,   // behind the brace that opens an object
    COMMA_OR_END, // behind a value
};

static_assert(JSON_DEPTH_MAX % 64 == 0, "each level has a bit");
static_assert(JSON_DEPTH_MAX == 128, "the text of JSON_TOO_DEEP says so");

static void check_reader(const struct json_reader *reader);
static void skip_space(struct json_reader *reader);
static int peek(const struct json_reader *reader);
static int pass_separator(struct json_reader *reader, bool *is_end);
static int read_end(struct json_reader *reader, struct json_token *token);
static int read_key(struct json_reader *reader, struct json_token *token);
static int read_value(struct json_reader *reader, struct json_token *token);
static int read_word(struct json_reader *reader, struct json_token *token);
static int open_level(struct json_reader *reader, struct json_token *token, bool is_array);
static int read_string(struct json_reader *reader, struct json_token *token, enum json_kind kind);

void json_reader_init(struct json_reader *reader, struct bytes text)
{
    *reader = (struct json_reader){.text = text, .expects = VALUE};
}

int json_next(struct json_reader *reader, struct json_token *token)
{
    DEBUG_CALL(check_reader(reader));
    skip_space(reader);
    if (reader->expects == COMMA_OR_END) {
        bool is_end = false;
        int failure = pass_separator(reader, &is_end);
        if (failure != 0 || is_end) {
            return failure != 0 ? failure : read_end(reader, token);
        }
        skip_space(reader);
    } else if ((reader->expects == VALUE_OR_END && peek(reader) == ']') ||
               (reader->expects == KEY_OR_END && peek(reader) == '}')) {
        return read_end(reader, token);
    }
    bool is_key = reader->expects == KEY || reader->expects == KEY_OR_END;
    return is_key ? read_key(reader, token) : read_value(reader, token);
}

bool json_reader_is_in_array(const struct json_reader *reader)
{
    DCHECK(reader->depth > 0 && reader->depth <= JSON_DEPTH_MAX);
    uint32_t level = reader->depth - 1;
    return (reader->arrays[level / 64] >> level % 64 & 1) != 0;
}

/// What must hold between two tokens: an array expects no key, and an object no end of an array.
static void check_reader(const struct json_reader *reader)
{
    bool expects_key = reader->expects == KEY || reader->expects == KEY_OR_END;
    bool has_level = reader->depth > 0;
    CHECK(reader->at <= reader->text.len);
    CHECK(reader->depth <= JSON_DEPTH_MAX);
    CHECK(reader->expects <= COMMA_OR_END);
    CHECK(!expects_key || (has_level && !json_reader_is_in_array(reader)));
    CHECK(reader->expects != VALUE_OR_END || (has_level && json_reader_is_in_array(reader)));
}

static void skip_space(struct json_reader *reader)
{
    while (reader->at < reader->text.len) {
        char octet = reader->text.at[reader->at];
        if (octet != ' ' && octet != '\n' && octet != '\r' && octet != '\t') {
            return;
        }
        reader->at++;
    }
}

/// The next byte, or -1 at the end.
static int peek(const struct json_reader *reader)
{
    return reader->at < reader->text.len ? (unsigned char)reader->text.at[reader->at] : -1;
}

/// Passes the comma behind a value. Where the level or the text ends instead, `is_end` is set and
/// `read_end` reads the end.
static int pass_separator(struct json_reader *reader, bool *is_end)
{
    int octet = peek(reader);
    if (reader->depth == 0) {
        *is_end = octet == -1;
        return *is_end ? 0 : JSON_EXPECTED_END;
    }
    bool is_array = json_reader_is_in_array(reader);
    *is_end = octet == (is_array ? ']' : '}');
    if (*is_end) {
        return 0;
    }
    if (octet != ',') {
        return is_array ? JSON_EXPECTED_ITEM_END : JSON_EXPECTED_MEMBER_END;
    }
    reader->at++;
    reader->expects = is_array ? VALUE : KEY;
    return 0;
}

/// Reads the end of the innermost level, or of the text.
static int read_end(struct json_reader *reader, struct json_token *token)
{
    if (reader->depth == 0) {
        token->kind = JSON_END;
        return 0;
    }
    token->kind = json_reader_is_in_array(reader) ? JSON_ARRAY_END : JSON_OBJECT_END;
    reader->at++;
    reader->depth--;
    reader->expects = COMMA_OR_END;
    return 0;
}

/// Reads a key and its colon.
static int read_key(struct json_reader *reader, struct json_token *token)
{
    if (peek(reader) != '"') {
        return JSON_EXPECTED_KEY;
    }
    int failure = read_string(reader, token, JSON_KEY);
    if (failure != 0) {
        return failure;
    }
    skip_space(reader);
    if (peek(reader) != ':') {
        return JSON_EXPECTED_COLON;
    }
    reader->at++;
    reader->expects = VALUE;
    return 0;
}

static int read_value(struct json_reader *reader, struct json_token *token)
{
    int octet = peek(reader);
    reader->expects = COMMA_OR_END;
    switch (octet) {
    case '{':
        return open_level(reader, token, false);
    case '[':
        return open_level(reader, token, true);
    case '"':
        return read_string(reader, token, JSON_STRING);
    case 't':
    case 'f':
    case 'n':
        return read_word(reader, token);
    default:
        if (octet != '-' && (octet < '0' || octet > '9')) {
            return JSON_EXPECTED_VALUE;
        }
        token->kind = JSON_NUMBER;
        return json_number_read(reader->text, &reader->at, &token->number);
    }
}

static int read_word(struct json_reader *reader, struct json_token *token)
{
    static const struct {
        struct bytes word;
        enum json_kind kind;
    } words[] = {{{"true", 4}, JSON_TRUE}, {{"false", 5}, JSON_FALSE}, {{"null", 4}, JSON_NULL}};
    struct bytes rest = bytes_skip(reader->text, reader->at);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (bytes_starts_with(rest, words[i].word)) {
            token->kind = words[i].kind;
            reader->at += words[i].word.len;
            return 0;
        }
    }
    return JSON_EXPECTED_VALUE;
}

static int open_level(struct json_reader *reader, struct json_token *token, bool is_array)
{
    uint32_t level = reader->depth;
    if (level == JSON_DEPTH_MAX) {
        return JSON_TOO_DEEP;
    }
    uint64_t bit = UINT64_C(1) << level % 64;
    uint64_t *bits = &reader->arrays[level / 64];
    *bits = is_array ? *bits | bit : *bits & ~bit;
    token->kind = is_array ? JSON_ARRAY : JSON_OBJECT;
    reader->expects = is_array ? VALUE_OR_END : KEY_OR_END;
    reader->depth++;
    reader->at++;
    return 0;
}

static int read_string(struct json_reader *reader, struct json_token *token, enum json_kind kind)
{
    DCHECK(peek(reader) == '"');
    struct bytes rest = bytes_skip(reader->text, reader->at + 1);
    size_t len = 0;
    int failure = json_string_scan(rest, &len, &token->has_escapes);
    reader->at += 1 + len;
    if (failure != 0) {
        return failure;
    }
    token->kind = kind;
    token->text = bytes_of(rest.at, len);
    reader->at++; // the closing quote
    return 0;
}
