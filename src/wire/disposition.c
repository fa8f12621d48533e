// SPDX-License-Identifier: MIT
#include "wire/disposition.h"

#include "wire/octet.h"

static bool is_plain(char octet);
static bool is_attr_char(char octet);
static char *put_fallback(char *at, struct bytes name);
static char *put_encoded(char *at, struct bytes name);
static char *put(char *at, struct bytes bytes);

bool disposition_write(struct bytes name, struct buf *out)
{
    struct bytes start = BYTES("attachment; filename=\"");
    struct bytes middle = BYTES("\"; filename*=UTF-8''");
    DCHECK(name.len > 0);
    char *first = buf_reserve(out, start.len + name.len + middle.len + name.len * 3);
    if (first == NULL) {
        return false;
    }
    bool is_all_plain = true;
    for (size_t i = 0; i < name.len; i++) {
        is_all_plain = is_all_plain && is_plain(name.at[i]);
    }
    char *at = put_fallback(put(first, start), name);
    at = is_all_plain ? put(at, BYTES("\"")) : put_encoded(put(at, middle), name);
    buf_commit(out, (size_t)(at - first));
    return true;
}

/// What stands in `filename` as it is. A percent sign does not: some browsers decode it there
/// (RFC 6266, appendix D).
static bool is_plain(char octet)
{
    return (octet == ' ' || octet_is(octet, OCTET_VCHAR)) && octet != '"' && octet != '\\' &&
           octet != '%' && octet != '/';
}

/// attr-char of RFC 8187, section 3.2.1: a token's bytes, but for `*`, `'` and `%`.
static bool is_attr_char(char octet)
{
    return octet_is(octet, OCTET_TCHAR) && octet != '*' && octet != '\'' && octet != '%';
}

/// One `_` for each character of several bytes.
static char *put_fallback(char *at, struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        bool is_continued = ((unsigned char)name.at[i] & 0xc0U) == 0x80;
        if (is_plain(name.at[i])) {
            *at++ = name.at[i];
        } else if (!is_continued) {
            *at++ = '_';
        }
    }
    return at;
}

/// A slash or a backslash would be a folder to some clients, so it is `_` here, too.
static char *put_encoded(char *at, struct bytes name)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < name.len; i++) {
        unsigned char octet = (unsigned char)name.at[i];
        if (name.at[i] == '/' || name.at[i] == '\\') {
            *at++ = '_';
        } else if (is_attr_char(name.at[i])) {
            *at++ = name.at[i];
        } else {
            *at++ = '%';
            *at++ = digits[octet >> 4];
            *at++ = digits[octet & 15];
        }
    }
    return at;
}

static char *put(char *at, struct bytes bytes)
{
    memcpy(at, bytes.at, bytes.len);
    return at + bytes.len;
}
