// SPDX-License-Identifier: MIT
//
// A target is split by its form, and each part is checked byte by byte against the set of octets
// that may stand in it (octet.h). Nothing is decoded here: the parts stay as the peer sent them,
// and a separator that is percent-encoded separates nothing.
#include "wire/url.h"

#include "wire/octet.h"

#include <stdint.h>

enum { PORT_MAX = 65535, IPV6_GROUPS = 8 };

static size_t host_name_len(struct bytes host);
static bool split_authority_form(struct bytes text, struct target *target);
static bool split_absolute_form(struct bytes text, struct target *target);
static size_t scheme_len(struct bytes text);
static bool split_path(struct bytes text, struct target *target);
static bool check_path(struct target *target);
static bool are_legal(struct bytes text, unsigned mask, bool has_nul);
static bool has_dot_segment(struct bytes path);
static bool is_port(struct bytes text);
static bool is_ip_literal(struct bytes text);
static bool is_ip_future(struct bytes text);
static bool is_ipv6(struct bytes text);
static bool count_ipv6_groups(struct bytes text, bool may_end_in_ipv4, int *count);
static bool is_ipv6_group(struct bytes text);
static bool is_ipv4(struct bytes text);
static bool is_ipv4_octet(struct bytes text);
static struct bytes take_until(struct bytes *rest, char separator);
static size_t index_of(struct bytes text, char byte);
static char decode(struct bytes text, bool plus_is_space, size_t *at);

bool url_split_target(struct bytes method, struct bytes text, struct target *target)
{
    *target = (struct target){.authority = BYTES(""), .path = BYTES(""), .query = BYTES("")};
    if (bytes_equal(method, BYTES("CONNECT"))) {
        return split_authority_form(text, target);
    }
    if (bytes_equal(text, BYTES("*"))) {
        target->form = TARGET_ASTERISK;
        target->path = text;
        return bytes_equal(method, BYTES("OPTIONS"));
    }
    if (text.len > 0 && text.at[0] == '/') {
        target->form = TARGET_ORIGIN;
        return split_path(text, target);
    }
    return split_absolute_form(text, target);
}

bool url_host_is_valid(struct bytes host)
{
    size_t len;
    bool is_valid;
    if (host.len > 0 && host.at[0] == '[') {
        len = index_of(host, ']');
        is_valid = len < host.len && is_ip_literal(bytes_of(host.at + 1, len - 1));
        len++;
    } else {
        len = index_of(host, ':');
        is_valid = len > 0 && are_legal(bytes_of(host.at, len), OCTET_HOST, false);
    }
    if (!is_valid || len == host.len) {
        return is_valid;
    }
    return host.at[len] == ':' && is_port(bytes_skip(host, len + 1));
}

bool url_host_is(struct bytes host, struct bytes wanted)
{
    bool has_port = host_name_len(wanted) < wanted.len;
    if (!has_port) {
        host.len = host_name_len(host);
    }
    return bytes_equal_nocase(host, wanted);
}

/// The length of a valid host without its port. The first colon outside of brackets ends the name.
static size_t host_name_len(struct bytes host)
{
    size_t start = host.len > 0 && host.at[0] == '[' ? index_of(host, ']') : 0;
    return start + index_of(bytes_skip(host, start), ':');
}

size_t url_decode(struct bytes text, bool plus_is_space, char *out)
{
    size_t size = 0;
    for (size_t at = 0; at < text.len; size++) {
        out[size] = decode(text, plus_is_space, &at);
    }
    DCHECK(size <= text.len);
    return size;
}

size_t url_canonical_path(struct bytes path, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 0;
    for (size_t at = 0; at < path.len;) {
        bool is_separator = path.at[at] == '/';
        char byte = octet_decode(path, &at);
        if (is_separator || (byte != '/' && octet_is(byte, OCTET_PATH))) {
            out[size++] = byte;
        } else {
            out[size++] = '%';
            out[size++] = digits[(unsigned char)byte >> 4];
            out[size++] = digits[(unsigned char)byte & 15];
        }
    }
    DCHECK(size <= path.len);
    return size;
}

bool url_has_encoded_slash(struct bytes text)
{
    for (size_t at = 0; at < text.len;) {
        bool is_encoded = text.at[at] == '%';
        if (octet_decode(text, &at) == '/' && is_encoded) {
            return true;
        }
    }
    return false;
}

bool url_next_pair(struct bytes *rest, struct bytes *name, struct bytes *value)
{
    while (rest->len > 0) {
        struct bytes pair = take_until(rest, '&');
        if (pair.len > 0) {
            *name = take_until(&pair, '=');
            *value = pair;
            return true;
        }
    }
    return false;
}

/// `host:port`; a CONNECT without a port is refused (RFC 9110, section 9.3.6).
static bool split_authority_form(struct bytes text, struct target *target)
{
    target->form = TARGET_AUTHORITY;
    target->authority = text;
    if (!url_host_is_valid(text)) {
        return false;
    }
    return text.len - host_name_len(text) > 1;
}

static bool split_absolute_form(struct bytes text, struct target *target)
{
    target->form = TARGET_ABSOLUTE;
    size_t start = scheme_len(text);
    if (start == 0) {
        return false;
    }
    struct bytes rest = bytes_skip(text, start);
    size_t slash = index_of(rest, '/');
    size_t question = index_of(rest, '?');
    size_t len = slash < question ? slash : question;
    target->authority = bytes_of(rest.at, len);
    return url_host_is_valid(target->authority) && split_path(bytes_skip(rest, len), target);
}

/// Length of `http://` or `https://`, in any case, at the front of `text`; 0 when there is neither.
static size_t scheme_len(struct bytes text)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct bytes scheme = bytes_from_string(schemes[i]);
        if (text.len >= scheme.len && strncasecmp(text.at, scheme.at, scheme.len) == 0) {
            return scheme.len;
        }
    }
    return 0;
}

/// Splits `path?query`. An absent path, which only the absolute form can have, is "/".
static bool split_path(struct bytes text, struct target *target)
{
    target->path = take_until(&text, '?');
    target->query = text;
    if (target->path.len == 0) {
        target->path = BYTES("/");
    }
    DCHECK(target->path.at[0] == '/');
    return check_path(target) && are_legal(text, OCTET_QUERY, true);
}

/// Checks the path and looks for dot segments. Most paths have neither a dot nor a percent sign, so
/// one pass over them is enough.
static bool check_path(struct target *target)
{
    struct bytes path = target->path;
    size_t plain_len = 0;
    while (plain_len < path.len && path.at[plain_len] != '.' &&
           octet_is(path.at[plain_len], OCTET_PATH)) {
        plain_len++;
    }
    if (plain_len == path.len) {
        return true;
    }
    target->has_dot_segment = has_dot_segment(path);
    return are_legal(path, OCTET_PATH, false);
}

/// Whether the decoded path has a dot segment: it is the decoded path that a script puts behind the
/// name of a folder.
static bool has_dot_segment(struct bytes path)
{
    size_t dot_count = 0;
    bool has_other = false;
    for (size_t at = 0; at < path.len;) {
        char byte = octet_decode(path, &at);
        if (byte != '/' && byte != '\\') {
            dot_count += byte == '.' ? 1 : 0;
            has_other |= byte != '.';
        } else if (!has_other && (dot_count == 1 || dot_count == 2)) {
            return true;
        } else {
            dot_count = 0;
            has_other = false;
        }
    }
    return !has_other && (dot_count == 1 || dot_count == 2);
}

/// Whether all of `text` is bytes of the classes in `mask` and whole percent sequences; `%00` only
/// when `has_nul`.
static bool are_legal(struct bytes text, unsigned mask, bool has_nul)
{
    for (size_t i = 0; i < text.len; i++) {
        if (octet_is(text.at[i], mask)) {
            continue;
        }
        if (!octet_is_percent_sequence(text, i)) {
            return false;
        }
        if (!has_nul && text.at[i + 1] == '0' && text.at[i + 2] == '0') {
            return false;
        }
        i += 2;
    }
    return true;
}

static bool is_port(struct bytes text)
{
    unsigned port = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!octet_is(text.at[i], OCTET_DIGIT)) {
            return false;
        }
        port = port * 10 + octet_hex_value(text.at[i]);
        if (port > PORT_MAX) {
            return false;
        }
    }
    return true;
}

/// Whether `text` may stand between the brackets (RFC 3986, section 3.2.2). Zone ids are refused:
/// they mean something on one machine only, and are not sent.
static bool is_ip_literal(struct bytes text)
{
    return is_ipv6(text) || is_ip_future(text);
}

/// `v` 1*HEXDIG `.` 1*(unreserved / sub-delims / ":")
static bool is_ip_future(struct bytes text)
{
    if (text.len == 0 || (text.at[0] | 0x20) != 'v') {
        return false;
    }
    text = bytes_skip(text, 1);
    struct bytes version = take_until(&text, '.');
    bool is_valid = version.len > 0 && text.len > 0;
    for (size_t i = 0; i < version.len && is_valid; i++) {
        is_valid = octet_is(version.at[i], OCTET_HEX);
    }
    for (size_t i = 0; i < text.len && is_valid; i++) {
        is_valid = text.at[i] == ':' || octet_is(text.at[i], OCTET_HOST);
    }
    return is_valid;
}

/// Whether `text` is eight groups, or fewer around one `::`, which stands for at least one group.
static bool is_ipv6(struct bytes text)
{
    int before;
    int after;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.at[i] == ':' && text.at[i + 1] == ':') {
            return count_ipv6_groups(bytes_of(text.at, i), false, &before) &&
                   count_ipv6_groups(bytes_skip(text, i + 2), true, &after) &&
                   before + after < IPV6_GROUPS;
        }
    }
    return count_ipv6_groups(text, true, &before) && before == IPV6_GROUPS;
}

/// Counts the 16-bit groups that `text` writes out: none when it is empty, two for a final dotted
/// IPv4 address. False when it is malformed.
static bool count_ipv6_groups(struct bytes text, bool may_end_in_ipv4, int *count)
{
    *count = 0;
    bool is_open = text.len > 0;
    while (is_open) {
        is_open = index_of(text, ':') < text.len;
        struct bytes group = take_until(&text, ':');
        if (is_ipv6_group(group)) {
            *count += 1;
        } else if (!is_open && may_end_in_ipv4 && is_ipv4(group)) {
            *count += 2;
        } else {
            return false;
        }
        DCHECK(group.len > 0);
        if (*count > IPV6_GROUPS) {
            return false;
        }
    }
    return true;
}

static bool is_ipv6_group(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!octet_is(text.at[i], OCTET_HEX)) {
            return false;
        }
    }
    return text.len >= 1 && text.len <= 4;
}

static bool is_ipv4(struct bytes text)
{
    for (int dots = 3; dots > 0; dots--) {
        if (index_of(text, '.') == text.len || !is_ipv4_octet(take_until(&text, '.'))) {
            return false;
        }
    }
    return is_ipv4_octet(text);
}

/// 0 to 255 without leading zeros (RFC 3986, dec-octet).
static bool is_ipv4_octet(struct bytes text)
{
    if (text.len == 0 || text.len > 3 || (text.len > 1 && text.at[0] == '0')) {
        return false;
    }
    unsigned number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!octet_is(text.at[i], OCTET_DIGIT)) {
            return false;
        }
        number = number * 10 + octet_hex_value(text.at[i]);
    }
    return number <= 255;
}

/// Takes the bytes of `rest` in front of the first `separator`, or all of them. `rest` is then what
/// stands behind the separator.
static struct bytes take_until(struct bytes *rest, char separator)
{
    size_t len = index_of(*rest, separator);
    struct bytes taken = bytes_of(rest->at, len);
    *rest = bytes_skip(*rest, len < rest->len ? len + 1 : len);
    return taken;
}

/// Where `byte` stands first in `text`; the length of `text` when it is not there.
static size_t index_of(struct bytes text, char byte)
{
    if (text.len == 0) {
        return 0;
    }
    const char *found = memchr(text.at, byte, text.len);
    return found == NULL ? text.len : (size_t)(found - text.at);
}

/// As `octet_decode`, with "+" read as a space when `plus_is_space`.
static char decode(struct bytes text, bool plus_is_space, size_t *at)
{
    if (plus_is_space && text.at[*at] == '+') {
        (*at)++;
        return ' ';
    }
    return octet_decode(text, at);
}
