// SPDX-License-Identifier: MIT
//
//     PREAMBLE --delimiter--> LINE --CRLF--> HEAD --empty line--> CONTENT --delimiter--> LINE
//                              |
//                              +-- "--" --> END
//
// The delimiter is CRLF, two hyphens and the boundary. At the very beginning, and behind the empty
// line of a part without content, it may stand without its CRLF: START and CONTENT_START look for
// that.
#include "wire/multipart.h"

#include "wire/headers.h"
#include "wire/octet.h"

#include <string.h>

enum state { START, PREAMBLE, LINE, HEAD, CONTENT_START, CONTENT, CONTENT_END, END, BROKEN };

static enum multipart_news start(struct multipart *reader, struct bytes *input);
static enum multipart_news find_delimiter(struct multipart *reader, struct bytes *input,
                                          struct bytes *piece);
static enum multipart_news end_line(struct multipart *reader, struct bytes *input);
static enum multipart_news take_head(struct multipart *reader, struct bytes *input,
                                     struct bytes *piece);
static bool is_head(struct bytes head);
static bool is_field_line(struct bytes line);
static enum multipart_news refuse_large(struct multipart *reader, const char *why);
static enum multipart_news refuse(struct multipart *reader, const char *why);
static bool next_parameter(struct bytes *rest, struct bytes *name, struct multipart_name *value);
static bool take_quoted(struct bytes *rest, struct bytes *text);
static struct bytes take_token(struct bytes *rest);
static struct bytes skip_space(struct bytes text);
static bool is_boundary(struct bytes text);
static bool is_letter(char byte);

bool multipart_boundary(struct bytes content_type, struct bytes *boundary)
{
    struct bytes rest = skip_space(content_type);
    struct bytes name;
    struct multipart_name value;
    bool is_found = false;
    if (!bytes_equal_nocase(take_token(&rest), BYTES("multipart")) || rest.len == 0 ||
        rest.at[0] != '/') {
        return false;
    }
    rest = bytes_skip(rest, 1);
    if (!bytes_equal_nocase(take_token(&rest), BYTES("form-data"))) {
        return false;
    }
    while (next_parameter(&rest, &name, &value)) {
        if (bytes_equal_nocase(name, BYTES("boundary")) && !is_found) {
            *boundary = value.text;
            is_found = true;
        }
    }
    return is_found && is_boundary(*boundary) && skip_space(rest).len == 0;
}

void multipart_init(struct multipart *reader, struct bytes boundary, size_t head_bytes_max)
{
    DCHECK(boundary.len > 0 && boundary.len <= MULTIPART_BOUNDARY_LEN_MAX);
    *reader = (struct multipart){._head_bytes_max = head_bytes_max, ._state = START};
    memcpy(reader->_delimiter, "\r\n--", 4);
    memcpy(reader->_delimiter + 4, boundary.at, boundary.len);
    reader->_delimiter_len = 4 + boundary.len;
}

enum multipart_news multipart_next(struct multipart *reader, struct bytes *input,
                                   struct bytes *piece)
{
    enum multipart_news news = MULTIPART_MORE;
    uint8_t before;
    do {
        before = reader->_state;
        switch ((enum state)reader->_state) {
        case START:
        case CONTENT_START:
            news = start(reader, input);
            break;
        case PREAMBLE:
        case CONTENT:
            news = find_delimiter(reader, input, piece);
            break;
        case LINE:
            news = end_line(reader, input);
            break;
        case HEAD:
            news = take_head(reader, input, piece);
            break;
        case CONTENT_END:
            reader->_state = LINE;
            return MULTIPART_PART_END;
        case END:
            *input = bytes_skip(*input, input->len);
            return MULTIPART_END;
        case BROKEN:
            return MULTIPART_BROKEN;
        }
    } while (news == MULTIPART_MORE && reader->_state != before);
    return news;
}

bool multipart_field(struct bytes *head, struct bytes *name, struct bytes *value)
{
    if (head->len == 0) {
        return false;
    }
    const char *end = memchr(head->at, '\r', head->len);
    const char *colon = memchr(head->at, ':', head->len);
    DCHECK(end != NULL && colon != NULL && colon < end);
    *name = bytes_of(head->at, (size_t)(colon - head->at));
    *value = bytes_trim(bytes_of(colon + 1, (size_t)(end - colon) - 1));
    *head = bytes_skip(*head, (size_t)(end - head->at) + 2);
    return true;
}

bool multipart_disposition(struct bytes value, struct multipart_name *name,
                           struct multipart_name *filename)
{
    struct bytes rest = skip_space(value);
    struct bytes parameter;
    struct multipart_name text;
    *name = *filename = (struct multipart_name){.is_given = false};
    if (!bytes_equal_nocase(take_token(&rest), BYTES("form-data"))) {
        return false;
    }
    while (next_parameter(&rest, &parameter, &text)) {
        if (bytes_equal_nocase(parameter, BYTES("name")) && !name->is_given) {
            *name = text;
        } else if (bytes_equal_nocase(parameter, BYTES("filename")) && !filename->is_given) {
            *filename = text;
        }
    }
    return skip_space(rest).len == 0;
}

size_t multipart_decode_name(const struct multipart_name *name, char *out)
{
    static const struct {
        struct bytes text;
        char byte;
    } escapes[] = {{{"%22", 3}, '"'},
                   {{"%0D", 3}, '\r'},
                   {{"%0A", 3}, '\n'},
                   {{"\\\"", 2}, '"'},
                   {{"\\\\", 2}, '\\'}};
    struct bytes rest = name->text;
    size_t len = 0;
    while (rest.len > 0) {
        char byte = rest.at[0];
        size_t taken = 1;
        for (size_t i = 0; i < 5 && taken == 1 && name->is_quoted; i++) {
            if (rest.len >= escapes[i].text.len &&
                bytes_equal_nocase(bytes_of(rest.at, escapes[i].text.len), escapes[i].text)) {
                byte = escapes[i].byte;
                taken = escapes[i].text.len;
            }
        }
        out[len++] = byte;
        rest = bytes_skip(rest, taken);
    }
    DCHECK(len <= name->text.len);
    return len;
}

static enum multipart_news start(struct multipart *reader, struct bytes *input)
{
    struct bytes wanted = bytes_of(reader->_delimiter + 2, reader->_delimiter_len - 2);
    size_t len = input->len < wanted.len ? input->len : wanted.len;
    bool is_content = reader->_state == CONTENT_START;
    if (memcmp(input->at, wanted.at, len) != 0) {
        reader->_state = is_content ? CONTENT : PREAMBLE;
    } else if (len == wanted.len) {
        *input = bytes_skip(*input, len);
        reader->_state = is_content ? CONTENT_END : LINE;
    }
    return MULTIPART_MORE;
}

/// Passes over a preamble, or gives out content, up to the delimiter. A CR with too little behind
/// it to see whether it begins one is left.
static enum multipart_news find_delimiter(struct multipart *reader, struct bytes *input,
                                          struct bytes *piece)
{
    struct bytes delimiter = bytes_of(reader->_delimiter, reader->_delimiter_len);
    bool is_content = reader->_state == CONTENT;
    size_t len = 0;
    while (len < input->len) {
        const char *cr = memchr(input->at + len, '\r', input->len - len);
        len = cr == NULL ? input->len : (size_t)(cr - input->at);
        size_t there = input->len - len < delimiter.len ? input->len - len : delimiter.len;
        if (cr != NULL && memcmp(cr, delimiter.at, there) == 0) {
            break;
        }
        len += cr == NULL ? 0 : 1;
    }
    *piece = bytes_of(input->at, len);
    *input = bytes_skip(*input, len);
    if (input->len >= delimiter.len) {
        *input = bytes_skip(*input, delimiter.len);
        reader->_state = is_content ? CONTENT_END : LINE;
    }
    return is_content && len > 0 ? MULTIPART_DATA : MULTIPART_MORE;
}

/// Reads what stands behind a boundary: two hyphens after the last one, and otherwise white space
/// and CRLF.
static enum multipart_news end_line(struct multipart *reader, struct bytes *input)
{
    struct bytes rest = *input;
    if (rest.len >= 2 && rest.at[0] == '-' && rest.at[1] == '-') {
        reader->_state = END;
        return MULTIPART_MORE;
    }
    if (rest.len == 1 && rest.at[0] == '-') {
        return MULTIPART_MORE;
    }
    rest = skip_space(rest);
    if (input->len - rest.len > reader->_head_bytes_max) {
        return refuse_large(reader, "a line of a boundary is too long");
    }
    if (rest.len >= 2 && rest.at[0] == '\r' && rest.at[1] == '\n') {
        *input = bytes_skip(rest, 2);
        reader->_state = HEAD;
    } else if (rest.len > 1 || (rest.len == 1 && rest.at[0] != '\r')) {
        return refuse(reader, "behind a boundary stands neither CRLF nor -- (RFC 2046, 5.1.1)");
    }
    return MULTIPART_MORE;
}

static enum multipart_news take_head(struct multipart *reader, struct bytes *input,
                                     struct bytes *piece)
{
    size_t len = 0;
    bool is_whole = input->len >= 2 && memcmp(input->at, "\r\n", 2) == 0;
    if (!is_whole) {
        const char *end = memmem(input->at, input->len, "\r\n\r\n", 4);
        is_whole = end != NULL;
        len = is_whole ? (size_t)(end - input->at) + 2 : input->len;
    }
    // Of the CRLF that ends it, one byte may be here without the other.
    if (len > reader->_head_bytes_max + (is_whole ? 0 : 1)) {
        return refuse_large(reader, "the header fields of a part are too large");
    }
    if (!is_whole) {
        return MULTIPART_MORE;
    }
    *piece = bytes_of(input->at, len);
    *input = bytes_skip(*input, len + 2);
    if (!is_head(*piece)) {
        return refuse(reader, "the header fields of a part are malformed (RFC 7578, 4.8)");
    }
    reader->_state = CONTENT_START;
    return MULTIPART_HEAD;
}

static bool is_head(struct bytes head)
{
    while (head.len > 0) {
        const char *end = memmem(head.at, head.len, "\r\n", 2);
        DCHECK(end != NULL);
        struct bytes line = bytes_of(head.at, (size_t)(end - head.at));
        if (!is_field_line(line)) {
            return false;
        }
        head = bytes_skip(head, line.len + 2);
    }
    return true;
}

static bool is_field_line(struct bytes line)
{
    const char *colon = line.len == 0 ? NULL : memchr(line.at, ':', line.len);
    if (colon == NULL) {
        return false;
    }
    size_t name_len = (size_t)(colon - line.at);
    return headers_is_token(bytes_of(line.at, name_len)) &&
           headers_value_is_valid(bytes_trim(bytes_skip(line, name_len + 1)));
}

static enum multipart_news refuse_large(struct multipart *reader, const char *why)
{
    reader->is_too_large = true;
    return refuse(reader, why);
}

static enum multipart_news refuse(struct multipart *reader, const char *why)
{
    reader->why = why;
    reader->_state = BROKEN;
    return MULTIPART_BROKEN;
}

/// Takes `; name=value` from the front of `rest`. False, and `rest` as it was, where there is none.
/// A semicolon that nothing follows is passed over.
static bool next_parameter(struct bytes *rest, struct bytes *name, struct multipart_name *value)
{
    struct bytes left = skip_space(*rest);
    if (left.len == 0 || left.at[0] != ';') {
        return false;
    }
    left = skip_space(bytes_skip(left, 1));
    if (left.len == 0) {
        *rest = left;
        return false;
    }
    *name = take_token(&left);
    if (name->len == 0 || left.len == 0 || left.at[0] != '=') {
        return false;
    }
    left = bytes_skip(left, 1);
    value->is_given = true;
    value->is_quoted = left.len > 0 && left.at[0] == '"';
    if (value->is_quoted) {
        if (!take_quoted(&left, &value->text)) {
            return false;
        }
    } else {
        value->text = take_token(&left);
    }
    *rest = left;
    return value->is_quoted || value->text.len > 0;
}

/// Takes a quoted text, whose first byte is the quote. A backslash hides the byte behind it.
static bool take_quoted(struct bytes *rest, struct bytes *text)
{
    size_t end = 1;
    while (end < rest->len && rest->at[end] != '"') {
        end += rest->at[end] == '\\' && end + 1 < rest->len ? 2 : 1;
    }
    if (end >= rest->len) {
        return false;
    }
    *text = bytes_of(rest->at + 1, end - 1);
    *rest = bytes_skip(*rest, end + 1);
    return true;
}

static struct bytes take_token(struct bytes *rest)
{
    size_t len = 0;
    while (len < rest->len && octet_is(rest->at[len], OCTET_TCHAR)) {
        len++;
    }
    struct bytes token = bytes_of(rest->at, len);
    *rest = bytes_skip(*rest, len);
    return token;
}

static struct bytes skip_space(struct bytes text)
{
    while (text.len > 0 && octet_is_blank(text.at[0])) {
        text = bytes_skip(text, 1);
    }
    return text;
}

/// RFC 2046, section 5.1.1: at most 70 of these, and no space at the end.
static bool is_boundary(struct bytes text)
{
    static const char others[] = "'()+_,-./:=? ";
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.at[i];
        if (!octet_is(byte, OCTET_DIGIT) && !is_letter(byte) &&
            memchr(others, byte, sizeof(others) - 1) == NULL) {
            return false;
        }
    }
    return text.len > 0 && text.len <= MULTIPART_BOUNDARY_LEN_MAX && text.at[text.len - 1] != ' ';
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}
