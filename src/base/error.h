// SPDX-License-Identifier: MIT
//
// The errors of the program. A function that can fail returns an int: 0, or a negative number that
// says why. It is a negative errno wherever one fits, whoever noticed the failure. Where none does,
// it is one of this table, which has a name and a text for each. The numbers lie beyond those of
// the system and of libuv, so the two kinds never meet and a caller may hand on what it got. A new
// error is a row here.
#pragma once

enum { ERROR_OURS = -10000 }; // ours are below it

/// Name, and what a person reads: lower case, no full stop.
#define ERRORS(X)                                                                                  \
    X(CLIENT_ENDED, "the server closed the connection")                                            \
    X(CLIENT_BAD_HEAD, "the server sent what is no HTTP/1.1 response")                             \
    X(CLIENT_BAD_CHUNKS, "the server sent what is no chunked body")                                \
    X(CLIENT_UNASKED, "the server sent bytes that belong to no response")                          \
    X(TARGET_TLS, "TLS is not spoken here; a URL like http://127.0.0.1:3000/events expected")      \
    X(TARGET_BAD_URL, "a URL like http://127.0.0.1:3000/events expected")                          \
    X(TARGET_TOO_LONG, "the URL is too long")                                                      \
    X(TARGET_NAME,                                                                                 \
      "names are not looked up: give an address like 127.0.0.1 or [::1], or localhost")            \
    X(TARGET_NO_PORT, "port 0 is nowhere")                                                         \
    X(FIELDS_TOO_LARGE, "the headers are larger than 64 KiB")                                      \
    X(RESPONSE_BAD_NAME, "a header name is letters, digits and !#$%&'*+-.^_`|~")                   \
    X(RESPONSE_BAD_VALUE, "a header value has no control characters and no space at its ends")     \
    X(RESPONSE_RESERVED, "this header is set by the server itself")                                \
    X(RESPONSE_HEAD_SENT, "the head is already sent")                                              \
    X(UPSTREAM_BAD_URL, "a URL such as https://example.com/path expected")                         \
    X(UPSTREAM_PASSWORD, "the URL has a user name in it; give it as the header authorization")     \
    X(UPSTREAM_NO_NAME, "there is no such host")                                                   \
    X(UPSTREAM_NAME_AGAIN, "the host's name cannot be looked up now")                              \
    X(UPSTREAM_CERTIFICATE, "the server's certificate is not accepted")                            \
    X(UPSTREAM_TLS, "TLS could not be agreed on")                                                  \
    X(UPSTREAM_PROXY, "the proxy refuses")                                                         \
    X(UPSTREAM_NOT_PUBLIC, "this client asks public addresses alone, and the host has none")       \
    X(UPSTREAM_IN_KIT, "a spec reaches no network, and no app:upstream stands in for this host")   \
    X(JSON_EXPECTED_VALUE, "expected a value")                                                     \
    X(JSON_EXPECTED_KEY, "expected a key in double quotes")                                        \
    X(JSON_EXPECTED_COLON, "expected ':'")                                                         \
    X(JSON_EXPECTED_ITEM_END, "expected ',' or ']'")                                               \
    X(JSON_EXPECTED_MEMBER_END, "expected ',' or '}'")                                             \
    X(JSON_EXPECTED_END, "expected the end of the text")                                           \
    X(JSON_EXPECTED_DIGIT, "expected a digit")                                                     \
    X(JSON_EXPECTED_ESCAPE, "expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000")           \
    X(JSON_EXPECTED_QUOTE, "expected the closing quote of the string")                             \
    X(JSON_CONTROL, "a control character in a string is not escaped")                              \
    X(JSON_NOT_UTF8, "a string is not UTF-8")                                                      \
    X(JSON_LONE_SURROGATE, "a surrogate without its partner is no character")                      \
    X(JSON_NUMBER_TOO_LARGE, "the number is beyond what a double holds")                           \
    X(JSON_TOO_DEEP, "arrays and objects are nested deeper than 128 levels")                       \
    X(NETWORK_BITS_BEHIND,                                                                         \
      "it has bits behind its prefix: name the network's own address, such as 10.0.0.0/8")         \
    X(TRUST_BAD_WORD,                                                                              \
      "an address, a network such as 10.0.0.0/8, unix, forwarded or x-forwarded expected")         \
    X(TRUST_NOBODY, "it names no proxy: an address, a network such as 10.0.0.0/8, or unix")        \
    X(TRUST_BOTH_FIELDS, "proxies write forwarded or x-forwarded: name one of them")               \
    X(TRUST_TOO_MANY, "there may be 64 networks")                                                  \
    X(PROXY_NOT_ONE, "it does not begin with a PROXY header")                                      \
    X(PROXY_MALFORMED, "its PROXY header is malformed")                                            \
    X(PROXY_TOO_LONG, "its PROXY header is longer than head_bytes")                                \
    X(PROXY_CUT, "it ended within its PROXY header")                                               \
    X(PROXY_LATE, "its PROXY header was not complete within head_timeout")

enum error_index {
#define ERROR_INDEX(name, text) ERROR_INDEX_##name,
    ERRORS(ERROR_INDEX)
#undef ERROR_INDEX
};

enum error {
#define ERROR_NUMBER(name, text) name = ERROR_OURS - 1 - ERROR_INDEX_##name,
    ERRORS(ERROR_NUMBER)
#undef ERROR_NUMBER
};

/// What a person reads about `error`, which is negative. Lives as long as the program.
const char *error_text(int error);
