// SPDX-License-Identifier: MIT
//
// Reads a JSON text token by token, in the strict grammar of RFC 8259: UTF-8, no comments, no
// trailing commas, one value. The reader knows which token may come next, so its user only has to
// put values together. It is a plain struct over the caller's bytes: it can be copied, and its
// owner may go on reading in a later turn. Pure; allocates nothing.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "wire/json_number.h"

#include <stdbool.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 128 };

enum json_kind {
    JSON_END, // of the text
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_KEY,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_OBJECT,
    JSON_OBJECT_END,
};

struct json_token {
    enum json_kind kind;
    bool has_escapes;          // of a string or key: `text` has to be unescaped
    struct bytes text;         // of a string or key: what stands between the quotes
    struct json_number number; // of a number
};

struct json_reader {
    struct bytes text;
    size_t at;      // the next byte; after a failure the place of what is wrong
    uint32_t depth; // open arrays and objects
    uint8_t expects;
    uint64_t arrays[JSON_DEPTH_MAX / 64]; // a bit for each level that is an array
};

/// Puts the reader at the start of `text`, which must live and not change while the reader is used.
void json_reader_init(struct json_reader *reader, struct bytes text);

/// The next token. Returns 0, or an error: then the reader is of no further use.
MUST_USE int json_next(struct json_reader *reader, struct json_token *token);

/// Whether the innermost open level is an array; there must be one.
bool json_reader_is_in_array(const struct json_reader *reader);
