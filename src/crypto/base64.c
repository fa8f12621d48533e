// SPDX-License-Identifier: MIT
//
// libcrypto's functions take whole blocks, count in `int` and end what they write with NUL. So
// pieces of some size go through memory of our own. Its decoder is lenient: it passes over white
// space and takes bits that nobody wrote. So each piece is encoded again, and has to be the same.
#include "crypto/base64.h"

#include "crypto/crypto_late.h"

#include <errno.h>

enum {
    PIECE_BYTES = 192,
    PIECE_TEXT = PIECE_BYTES / 3 * 4,
};

static size_t encode_piece(struct bytes piece, enum base64_form form, char *out);
static int decode_piece(struct bytes piece, enum base64_form form, char *out, size_t *len);
static void exchange(char *text, size_t len, const char *from, const char *to);
static struct bytes take(struct bytes *rest, size_t len_max);

size_t base64_encode(struct bytes data, enum base64_form form, char *out)
{
    size_t len = 0;
    while (data.len > 0) {
        len += encode_piece(take(&data, PIECE_BYTES), form, out + len);
    }
    return len;
}

int base64_decode(struct bytes text, enum base64_form form, char *out, size_t *len)
{
    *len = 0;
    while (text.len > 0) {
        size_t piece_len;
        int error = decode_piece(take(&text, PIECE_TEXT), form, out + *len, &piece_len);
        bool is_last = text.len == 0;
        if (error != 0 || (!is_last && piece_len != PIECE_BYTES)) {
            return -EINVAL; // padding in the midst is the end of what was encoded
        }
        *len += piece_len;
    }
    return 0;
}

static size_t encode_piece(struct bytes piece, enum base64_form form, char *out)
{
    char text[PIECE_TEXT + 1];
    DCHECK(piece.len > 0 && piece.len <= PIECE_BYTES);
    int encoded = libcrypto.EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)piece.at,
                                            (int)piece.len);
    size_t len = (size_t)encoded;
    CHECK(len == (piece.len + 2) / 3 * 4);
    while (form != BASE64_PADDED && text[len - 1] == '=') {
        len--;
    }
    if (form == BASE64_URL) {
        exchange(text, len, "+/", "-_");
    }
    memcpy(out, text, len);
    return len;
}

static int decode_piece(struct bytes piece, enum base64_form form, char *out, size_t *len)
{
    char text[PIECE_TEXT];
    char data[PIECE_BYTES];
    char again[PIECE_TEXT];
    size_t whole_len = (piece.len + 3) / 4 * 4;
    DCHECK(piece.len > 0 && whole_len <= sizeof(text));
    memset(text, '=', sizeof(text));
    memcpy(text, piece.at, piece.len);
    if (form == BASE64_URL) {
        exchange(text, piece.len, "-_", "+/");
    }
    int decoded = libcrypto.EVP_DecodeBlock((unsigned char *)data, (const unsigned char *)text,
                                            (int)whole_len);
    size_t padding_len = text[whole_len - 1] != '=' ? 0 : text[whole_len - 2] != '=' ? 1 : 2;
    if (decoded < (int)padding_len) {
        return -EINVAL;
    }
    *len = (size_t)decoded - padding_len; // libcrypto counts the padding as zeros
    size_t again_len = *len == 0 ? 0 : encode_piece(bytes_of(data, *len), form, again);
    if (!bytes_equal(bytes_of(again, again_len), piece)) {
        return -EINVAL;
    }
    memcpy(out, data, *len);
    return 0;
}

/// Puts to[i] in the place of each from[i]; both have two letters.
static void exchange(char *text, size_t len, const char *from, const char *to)
{
    for (size_t i = 0; i < len; i++) {
        text[i] = text[i] == from[0] ? to[0] : text[i] == from[1] ? to[1] : text[i];
    }
}

/// Takes the first bytes off `rest`: `len_max`, or all.
static struct bytes take(struct bytes *rest, size_t len_max)
{
    struct bytes piece = bytes_of(rest->at, rest->len < len_max ? rest->len : len_max);
    *rest = bytes_skip(*rest, piece.len);
    return piece;
}
