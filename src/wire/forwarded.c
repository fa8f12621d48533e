// SPDX-License-Identifier: MIT
//
// The walk goes from left to right, because a comma inside a quoted string does not separate. It
// keeps a candidate: the first member; and then whichever member is not that of a trusted proxy.
// The last candidate is what a walk from the right would have met first.
#include "wire/forwarded.h"

#include "base/check.h"
#include "wire/headers.h"
#include "wire/octet.h"
#include "wire/url.h"

#include <assert.h>

enum { PORT_LEN_MAX = 5 };

/// One member of Forwarded; each is empty where it was not said.
struct element {
    struct bytes node;
    struct bytes scheme;
    struct bytes host;
};

static bool is_trusted(const struct trust *trust, const struct forwarded_node *node);
static bool consider(struct forwarded_list *list, const struct trust *trust,
                     const struct forwarded_node *node);
static void add_elements(struct forwarded_list *list, const struct trust *trust,
                         struct bytes value);
static bool parse_element(struct bytes member, struct element *element);
static bool take_pair(struct element *element, struct bytes pair);
static bool unquote(struct bytes text, struct bytes *value);
static void add_nodes(struct forwarded_list *list, const struct trust *trust, struct bytes value);
static bool next_plain_member(struct bytes *rest, struct bytes *member);
static size_t count_members(struct bytes value);
static void take_member(const struct forwarded_list *list, struct bytes value, size_t count,
                        size_t *index, struct bytes *taken);
static struct forwarded_node parse_node(struct bytes text);
static bool take_address(struct bytes text, struct bytes *address);
static bool is_port(struct bytes text);
static bool is_hidden_name(struct bytes text);
static const struct forwarded_list *believed(const struct forwarded *forwarded);

void forwarded_init(struct forwarded *forwarded, const struct trust *trust)
{
    DCHECK(trust_is_given(trust));
    *forwarded = (struct forwarded){._trust = trust};
}

void forwarded_count(struct forwarded *forwarded, struct bytes name, struct bytes value)
{
    if (bytes_equal_nocase(name, BYTES("forwarded"))) {
        forwarded->_has_standard = true;
        add_elements(&forwarded->_standard, forwarded->_trust, value);
    } else if (bytes_equal_nocase(name, BYTES("x-forwarded-for"))) {
        forwarded->_has_x = true;
        add_nodes(&forwarded->_x, forwarded->_trust, value);
    } else if (bytes_equal_nocase(name, BYTES("x-forwarded-proto"))) {
        forwarded->_has_x = true;
        forwarded->_scheme_count += count_members(value);
    } else if (bytes_equal_nocase(name, BYTES("x-forwarded-host"))) {
        forwarded->_has_x = true;
        forwarded->_host_count += count_members(value);
    }
}

void forwarded_take(struct forwarded *forwarded, struct bytes name, struct bytes value)
{
    struct forwarded_list *list = &forwarded->_x;
    if (bytes_equal_nocase(name, BYTES("x-forwarded-proto"))) {
        take_member(list, value, forwarded->_scheme_count, &forwarded->_scheme_index,
                    &list->scheme);
    } else if (bytes_equal_nocase(name, BYTES("x-forwarded-host"))) {
        take_member(list, value, forwarded->_host_count, &forwarded->_host_index, &list->host);
    }
}

size_t forwarded_client(const struct forwarded *forwarded, char *out)
{
    static_assert((int)FORWARDED_CLIENT_MAX >= (int)sizeof("unknown"), "it has room");
    struct bytes text = BYTES("unknown");
    const struct forwarded_list *list = believed(forwarded);
    if (list != NULL) {
        switch (list->client.kind) {
        case FORWARDED_NONE:
            return 0;
        case FORWARDED_IP:
            return ip_write(&list->client.ip, out);
        case FORWARDED_UNIX:
            text = BYTES("unix");
            break;
        case FORWARDED_HIDDEN:
            text = list->client.text;
            break;
        case FORWARDED_UNKNOWN:
            break;
        }
    }
    DCHECK(text.len < FORWARDED_CLIENT_MAX);
    memcpy(out, text.at, text.len);
    return text.len;
}

bool forwarded_is_https(const struct forwarded *forwarded)
{
    const struct forwarded_list *list = believed(forwarded);
    return list != NULL && bytes_equal_nocase(list->scheme, BYTES("https"));
}

struct bytes forwarded_host(const struct forwarded *forwarded)
{
    const struct forwarded_list *list = believed(forwarded);
    return list != NULL && url_host_is_valid(list->host) ? list->host : BYTES("");
}

/// What counts; NULL when both kinds of fields came and nobody said which of them the proxies
/// write. A proxy passes on the kind that it does not write as the client sent it.
static const struct forwarded_list *believed(const struct forwarded *forwarded)
{
    switch (forwarded->_trust->fields) {
    case TRUST_X:
        return &forwarded->_x;
    case TRUST_STANDARD:
        return &forwarded->_standard;
    case TRUST_EITHER:
        break;
    }
    if (forwarded->_has_standard && forwarded->_has_x) {
        return NULL;
    }
    return forwarded->_has_standard ? &forwarded->_standard : &forwarded->_x;
}

/// Adds the members of a field Forwarded. What is no element is an address that is not known.
static void add_elements(struct forwarded_list *list, const struct trust *trust, struct bytes value)
{
    struct bytes member;
    while (headers_next_member(&value, &member)) {
        struct element element = {0};
        bool is_one = parse_element(member, &element);
        struct forwarded_node node = {.kind = FORWARDED_UNKNOWN};
        if (is_one) {
            node = parse_node(element.node);
        }
        if (consider(list, trust, &node)) {
            list->scheme = is_one ? element.scheme : BYTES("");
            list->host = is_one ? element.host : BYTES("");
        }
    }
}

/// Parses `[pair] *( ";" [pair] )` (RFC 7239, section 4). White space around the pairs passes.
static bool parse_element(struct bytes member, struct element *element)
{
    while (member.len > 0) {
        size_t len = headers_index_unquoted(member, ';');
        struct bytes pair = bytes_trim(bytes_of(member.at, len));
        member = bytes_skip(member, len < member.len ? len + 1 : len);
        if (pair.len > 0 && !take_pair(element, pair)) {
            return false;
        }
    }
    return true;
}

/// Takes `token "=" value`. A parameter may not come twice.
static bool take_pair(struct element *element, struct bytes pair)
{
    const char *equals = memchr(pair.at, '=', pair.len);
    if (equals == NULL) {
        return false;
    }
    struct bytes name = bytes_of(pair.at, (size_t)(equals - pair.at));
    struct bytes value;
    if (!headers_is_token(name) || !unquote(bytes_skip(pair, name.len + 1), &value)) {
        return false;
    }
    struct bytes *place = bytes_equal_nocase(name, BYTES("for"))     ? &element->node
                          : bytes_equal_nocase(name, BYTES("proto")) ? &element->scheme
                          : bytes_equal_nocase(name, BYTES("host"))  ? &element->host
                                                                     : NULL;
    if (place == NULL) {
        return true;
    }
    bool is_first = place->at == NULL;
    *place = value;
    return is_first;
}

/// The content of a quoted string, or a value that is none: some proxies leave the quotes away that
/// an address of IPv6 or a port needs. A backslash has no place in what is read here.
static bool unquote(struct bytes text, struct bytes *value)
{
    *value = text;
    if (text.len > 0 && text.at[0] == '"') {
        if (text.len < 2 || text.at[text.len - 1] != '"') {
            return false;
        }
        *value = bytes_of(text.at + 1, text.len - 2);
    }
    for (size_t i = 0; i < value->len; i++) {
        if (value->at[i] == '"' || value->at[i] == '\\') {
            return false;
        }
    }
    return true;
}

static void add_nodes(struct forwarded_list *list, const struct trust *trust, struct bytes value)
{
    struct bytes member;
    while (next_plain_member(&value, &member)) {
        struct forwarded_node node = parse_node(member);
        (void)consider(list, trust, &node);
    }
}

/// As `headers_next_member`, for lists without quoted strings: a quote that a client has written
/// must not hide the comma that a proxy writes behind it.
static bool next_plain_member(struct bytes *rest, struct bytes *member)
{
    while (rest->len > 0) {
        const char *comma = memchr(rest->at, ',', rest->len);
        size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->at);
        *member = bytes_trim(bytes_of(rest->at, len));
        *rest = bytes_skip(*rest, comma == NULL ? len : len + 1);
        if (member->len > 0) {
            return true;
        }
    }
    return false;
}

/// Counts a member; returns whether it is the candidate now.
static bool consider(struct forwarded_list *list, const struct trust *trust,
                     const struct forwarded_node *node)
{
    size_t index = list->member_count++;
    if (index > 0 && is_trusted(trust, node)) {
        return false;
    }
    list->client = *node;
    list->client_index = index;
    return true;
}

static bool is_trusted(const struct trust *trust, const struct forwarded_node *node)
{
    return node->kind == FORWARDED_IP ? trust_has(trust, &node->ip)
                                      : node->kind == FORWARDED_UNIX && trust->has_unix;
}

static size_t count_members(struct bytes value)
{
    size_t count = 0;
    struct bytes member;
    while (next_plain_member(&value, &member)) {
        count++;
    }
    return count;
}

/// Takes the member that belongs to the client: as many from the right as the client's own. A list
/// that is shorter, because a proxy replaced it, begins with what is known of the client.
static void take_member(const struct forwarded_list *list, struct bytes value, size_t count,
                        size_t *index, struct bytes *taken)
{
    size_t from_right = list->member_count > 0 ? list->member_count - list->client_index : 1;
    size_t wanted = count > from_right ? count - from_right : 0;
    struct bytes member;
    while (next_plain_member(&value, &member)) {
        if ((*index)++ == wanted) {
            *taken = member;
        }
    }
}

/// Parses a node of RFC 7239, section 6, or what stands in X-Forwarded-For: there an address of
/// IPv6 has no brackets, and nginx writes "unix:" for a Unix socket.
static struct forwarded_node parse_node(struct bytes text)
{
    struct forwarded_node node = {.kind = FORWARDED_UNKNOWN};
    struct bytes address;
    if (bytes_equal(text, BYTES("unix:")) || bytes_equal(text, BYTES("unix"))) {
        node.kind = FORWARDED_UNIX;
    } else if (is_hidden_name(text) && text.len < FORWARDED_CLIENT_MAX) {
        node.kind = FORWARDED_HIDDEN;
        node.text = text;
    } else if (take_address(text, &address) && ip_parse(address, &node.ip)) {
        node.kind = FORWARDED_IP;
    }
    return node;
}

/// Takes the address of "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]" or
/// "[2001:db8::1]:80". False when a port or a bracket is wrong.
static bool take_address(struct bytes text, struct bytes *address)
{
    struct bytes port = BYTES("");
    *address = text;
    const char *colon = text.len == 0 ? NULL : memchr(text.at, ':', text.len);
    const char *last = text.len == 0 ? NULL : memrchr(text.at, ':', text.len);
    if (colon != NULL && text.at[0] == '[') {
        const char *end = memchr(text.at, ']', text.len);
        if (end == NULL) {
            return false;
        }
        *address = bytes_of(text.at + 1, (size_t)(end - text.at) - 1);
        port = bytes_skip(text, address->len + 2);
    } else if (colon != NULL && colon == last) {
        *address = bytes_of(text.at, (size_t)(colon - text.at));
        port = bytes_skip(text, address->len);
    }
    return port.len == 0 || is_port(port);
}

/// Whether it is ":" with a port of digits, or a hidden one.
static bool is_port(struct bytes text)
{
    struct bytes port = bytes_skip(text, 1);
    if (text.at[0] != ':' || port.len == 0) {
        return false;
    }
    if (is_hidden_name(port)) {
        return true;
    }
    for (size_t i = 0; i < port.len; i++) {
        if (!octet_is(port.at[i], OCTET_DIGIT)) {
            return false;
        }
    }
    return port.len <= PORT_LEN_MAX;
}

/// "_" and letters, digits, ".", "_" or "-" (RFC 7239, section 6.3).
static bool is_hidden_name(struct bytes text)
{
    if (text.len < 2 || text.at[0] != '_') {
        return false;
    }
    for (size_t i = 1; i < text.len; i++) {
        char byte = text.at[i];
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!is_letter && !octet_is(byte, OCTET_DIGIT) && byte != '.' && byte != '_' &&
            byte != '-') {
            return false;
        }
    }
    return true;
}
