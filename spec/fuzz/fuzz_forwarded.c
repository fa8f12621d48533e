// SPDX-License-Identifier: MIT
//
// What proxies say of a client, in any fields. Input: a byte that chooses what is trusted, then
// fields, each a byte that chooses its name and a value up to the end of the line.
#include "fuzz.h"

#include "wire/forwarded.h"
#include "wire/url.h"

enum { FIELDS_MAX = 64 };

struct field {
    struct bytes name;
    struct bytes value;
};

static const char *const trusts[] = {"10.0.0.0/8,::1", "unix", "0.0.0.0/0,::/0,unix",
                                     "10.0.0.0/8,forwarded", "10.0.0.0/8,x-forwarded"};
static const char *const names[] = {"forwarded", "X-Forwarded-For", "x-forwarded-proto",
                                    "X-Forwarded-Host"};

static void check_client(const struct forwarded *forwarded, const struct trust *trust,
                         size_t field_count);
static void check_appended(const struct trust *trust, const struct field *fields, size_t count,
                           size_t name);
static void walk(struct forwarded *forwarded, const struct trust *trust, const struct field *fields,
                 size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    struct field fields[FIELDS_MAX + 1];
    struct trust trust = {0};
    struct forwarded forwarded;
    struct bytes bad;
    size_t count = 0;
    const char *list = trusts[fuzz_byte(&input) % (sizeof(trusts) / sizeof(trusts[0]))];
    CHECK(trust_add_list(&trust, bytes_from_string(list), &bad) == 0);
    while (input.len > 0 && count < FIELDS_MAX) {
        const char *name = names[fuzz_byte(&input) % (sizeof(names) / sizeof(names[0]))];
        fields[count++] = (struct field){bytes_from_string(name), fuzz_text(&input, '\n')};
    }
    walk(&forwarded, &trust, fields, count);
    check_client(&forwarded, &trust, count);
    check_appended(&trust, fields, count, 0);
    check_appended(&trust, fields, count, 1);
    return 0;
}

static void walk(struct forwarded *forwarded, const struct trust *trust, const struct field *fields,
                 size_t count)
{
    forwarded_init(forwarded, trust);
    for (size_t i = 0; i < count; i++) {
        forwarded_count(forwarded, fields[i].name, fields[i].value);
    }
    for (size_t i = 0; i < count; i++) {
        forwarded_take(forwarded, fields[i].name, fields[i].value);
    }
}

/// The client is an address, "unix", "unknown" or a hidden name; the host is none, or valid.
static void check_client(const struct forwarded *forwarded, const struct trust *trust,
                         size_t field_count)
{
    char text[FORWARDED_CLIENT_MAX];
    struct bytes client = bytes_of(text, forwarded_client(forwarded, text));
    struct bytes host = forwarded_host(forwarded);
    struct ip ip;
    CHECK(trust_is_given(trust));
    CHECK(client.len < sizeof(text));
    CHECK(client.len == 0 || ip_parse(client, &ip) || client.at[0] == '_' ||
          bytes_equal(client, BYTES("unix")) || bytes_equal(client, BYTES("unknown")));
    CHECK(host.len == 0 || url_host_is_valid(host));
    CHECK(field_count > 0 || client.len == 0);
    (void)forwarded_is_https(forwarded);
}

/// Whatever a client has sent: when the nearest proxy adds a field of its own, and names an address
/// that is not trusted, that is the client, or nobody is where both kinds have come.
static void check_appended(const struct trust *trust, const struct field *fields, size_t count,
                           size_t name)
{
    struct field all[FIELDS_MAX + 1];
    struct forwarded forwarded;
    struct ip ip;
    char text[FORWARDED_CLIENT_MAX];
    struct bytes value = name == 0 ? BYTES("for=\"192.0.2.7:80\"") : BYTES("192.0.2.7");
    CHECK(ip_parse(BYTES("192.0.2.7"), &ip));
    bool is_read =
        trust->fields == TRUST_EITHER || trust->fields == (name == 0 ? TRUST_STANDARD : TRUST_X);
    if (trust_has(trust, &ip) || !is_read) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        all[i] = fields[i];
    }
    all[count] = (struct field){bytes_from_string(names[name]), value};
    walk(&forwarded, trust, all, count + 1);
    struct bytes client = bytes_of(text, forwarded_client(&forwarded, text));
    CHECK(bytes_equal(client, BYTES("192.0.2.7")) ||
          (trust->fields == TRUST_EITHER && bytes_equal(client, BYTES("unknown"))));
}
