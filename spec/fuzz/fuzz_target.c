// SPDX-License-Identifier: MIT
//
// Request targets, hosts, percent-decoding and pairs. Input: one byte that picks the method, then
// the text that all of them get.
#include "fuzz.h"

#include "base/mem.h"
#include "wire/url.h"

static void check_target(struct bytes method, struct bytes text);
static void check_parts(struct bytes text, const struct target *target);
static bool is_inside(struct bytes part, struct bytes whole);
static void check_raw(struct bytes text, const char *refused);
static void check_decode(struct bytes text, bool plus_is_space);
static int hex(char digit);
static void check_pairs(struct bytes text);
static void check_path(const struct target *target);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const char *const methods[] = {"GET", "OPTIONS", "CONNECT", "POST"};
    struct bytes input = bytes_of((const char *)at, len);
    struct bytes method = bytes_from_string(methods[fuzz_byte(&input) % 4]);
    check_target(method, input);
    check_decode(input, false);
    check_decode(input, true);
    check_pairs(input);
    if (url_host_is_valid(input)) {
        check_raw(input, "\"<>\\^`{|}/?#@");
        struct target target;
        char text[4096] = "http://";
        if (input.len < sizeof(text) - 7) {
            memcpy(text + 7, input.at, input.len);
            CHECK(url_split_target(BYTES("GET"), bytes_of(text, input.len + 7), &target));
            CHECK(bytes_equal(target.authority, input));
        }
    }
    return 0;
}

static void check_target(struct bytes method, struct bytes text)
{
    struct target target;
    if (!url_split_target(method, text, &target)) {
        return;
    }
    bool is_connect = bytes_equal(method, BYTES("CONNECT"));
    CHECK((target.form == TARGET_AUTHORITY) == is_connect);
    CHECK(target.form != TARGET_ASTERISK || bytes_equal(method, BYTES("OPTIONS")));
    check_raw(text, "\"<>#");
    check_parts(text, &target);
    check_path(&target);
}

/// The canonical form is its own canonical form, decodes to the same bytes, and has an encoded
/// slash if the path has one. A path without dot segments has none after decoding either, with
/// slashes or backslashes as separators.
static void check_path(const struct target *target)
{
    char *memory = mem_alloc(4 * target->path.len + 4);
    char *canonical = memory;
    char *again = memory + target->path.len;
    char *decoded = again + target->path.len;
    size_t len = url_canonical_path(target->path, canonical);
    struct bytes path = bytes_of(canonical, len);
    CHECK(len <= target->path.len);
    CHECK(bytes_equal(bytes_of(again, url_canonical_path(path, again)), path));
    CHECK(url_has_encoded_slash(path) == url_has_encoded_slash(target->path));
    size_t size = url_decode(target->path, false, decoded + 1);
    CHECK(size == url_decode(path, false, again) && memcmp(again, decoded + 1, size) == 0);
    decoded[0] = '/';
    decoded[size + 1] = '/';
    decoded[size + 2] = '\0';
    for (size_t i = 0; i <= size + 1; i++) {
        decoded[i] = decoded[i] == '\\' ? '/' : decoded[i];
    }
    bool has_dots = strstr(decoded, "/./") != NULL || strstr(decoded, "/../") != NULL;
    CHECK(target->has_dot_segment == has_dots);
    mem_free(memory);
}

/// Checks that the parts stand in the text, in order, and that nothing else does.
static void check_parts(struct bytes text, const struct target *target)
{
    switch (target->form) {
    case TARGET_ASTERISK:
        CHECK(bytes_equal(target->path, BYTES("*")));
        return;
    case TARGET_AUTHORITY:
        CHECK(bytes_equal(target->authority, text));
        CHECK(url_host_is_valid(text));
        return;
    case TARGET_ABSOLUTE:
        CHECK(url_host_is_valid(target->authority));
        CHECK(is_inside(target->authority, text));
        break;
    case TARGET_ORIGIN:
        CHECK(target->authority.len == 0);
        CHECK(is_inside(target->path, text));
        break;
    }
    CHECK(target->path.at[0] == '/');
    check_raw(target->path, "\"<>#\\?");
    CHECK(target->query.len == 0 || is_inside(target->query, text));
    CHECK(target->query.len == 0 || target->query.at[-1] == '?');
    char *path = mem_alloc(target->path.len);
    CHECK(memchr(path, '\0', url_decode(target->path, false, path)) == NULL);
    mem_free(path);
}

static bool is_inside(struct bytes part, struct bytes whole)
{
    return part.at >= whole.at && part.at + part.len <= whole.at + whole.len;
}

/// `text` is visible ASCII without the bytes in `refused`.
static void check_raw(struct bytes text, const char *refused)
{
    for (size_t i = 0; i < text.len; i++) {
        CHECK(text.at[i] > ' ');
        CHECK(text.at[i] < 0x7f);
        CHECK(strchr(refused, text.at[i]) == NULL);
    }
}

static void check_decode(struct bytes text, bool plus_is_space)
{
    char *out = mem_alloc(text.len + 1);
    struct bytes decoded = bytes_of(out, url_decode(text, plus_is_space, out));
    size_t at = 0;
    for (size_t i = 0; i < decoded.len; i++) {
        int wanted = (unsigned char)text.at[at];
        bool is_sequence = text.at[at] == '%' && at + 2 < text.len && hex(text.at[at + 1]) >= 0 &&
                           hex(text.at[at + 2]) >= 0;
        if (is_sequence) {
            wanted = hex(text.at[at + 1]) * 16 + hex(text.at[at + 2]);
        } else if (plus_is_space && text.at[at] == '+') {
            wanted = ' ';
        }
        CHECK((unsigned char)decoded.at[i] == wanted);
        at += is_sequence ? 3 : 1;
    }
    CHECK(at == text.len);
    mem_free(out);
}

static int hex(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);
    return found == NULL ? -1 : (int)(found - digits) % 16;
}

/// Checks that the pairs, in order, are what stands between the ampersands.
static void check_pairs(struct bytes text)
{
    struct bytes rest = text;
    struct bytes name;
    struct bytes value;
    const char *seen = text.at;
    while (url_next_pair(&rest, &name, &value)) {
        for (; seen < name.at; seen++) {
            CHECK(*seen == '&');
        }
        CHECK(name.len == 0 || memchr(name.at, '=', name.len) == NULL);
        CHECK(name.len == 0 || memchr(name.at, '&', name.len) == NULL);
        CHECK(value.len == 0 || memchr(value.at, '&', value.len) == NULL);
        seen = name.at + name.len;
        if (seen < text.at + text.len && *seen == '=') {
            CHECK(value.at == seen + 1);
            seen = value.at + value.len;
        }
        CHECK(seen == text.at + text.len || *seen == '&');
    }
    CHECK(rest.len == 0);
}
