// SPDX-License-Identifier: MIT
#include "client/target.h"

#include "base/error.h"
#include "net/socket_address.h"
#include "wire/url.h"

#include <stdio.h>

enum { PORT_DEFAULT = 80 };

static void split_authority(struct bytes authority, struct bytes *host, struct bytes *port);

int client_target_parse(struct client_target *target, const char *url)
{
    struct bytes text = bytes_from_string(url);
    struct socket_address address;
    struct target parts;
    struct bytes host;
    struct bytes port;
    *target = (struct client_target){.port = PORT_DEFAULT};
    if (bytes_starts_with(text, BYTES("https:"))) {
        return TARGET_TLS;
    }
    if (!url_split_target(BYTES("GET"), text, &parts) || parts.form != TARGET_ABSOLUTE) {
        return TARGET_BAD_URL;
    }
    if (parts.authority.len >= sizeof(target->authority) ||
        parts.path.len + parts.query.len + 2 > sizeof(target->path)) {
        return TARGET_TOO_LONG;
    }
    split_authority(parts.authority, &host, &port);
    snprintf(target->authority, sizeof(target->authority), "%.*s", (int)parts.authority.len,
             parts.authority.at);
    bool is_localhost = bytes_equal(host, BYTES("localhost"));
    snprintf(target->host, sizeof(target->host), "%.*s", is_localhost ? 9 : (int)host.len,
             is_localhost ? "127.0.0.1" : host.at);
    snprintf(target->path, sizeof(target->path), "%.*s%s%.*s", (int)parts.path.len, parts.path.at,
             parts.query.len > 0 ? "?" : "", (int)parts.query.len, parts.query.at);
    if (port.len > 0) {
        target->port = (uint16_t)strtoul(port.at, NULL, 10);
    }
    if (socket_address_parse(&address, target->host, target->port) != 0) {
        return TARGET_NAME;
    }
    return target->port == 0 ? TARGET_NO_PORT : 0;
}

/// `authority` is a valid one: digits follow the last colon outside of brackets.
static void split_authority(struct bytes authority, struct bytes *host, struct bytes *port)
{
    size_t end = authority.len;
    while (end > 0 && authority.at[end - 1] >= '0' && authority.at[end - 1] <= '9') {
        end--;
    }
    bool has_port = end > 0 && authority.at[end - 1] == ':';
    *port = has_port ? bytes_skip(authority, end) : bytes_of(authority.at, 0);
    *host = has_port ? bytes_of(authority.at, end - 1) : authority;
    if (host->at[0] == '[') {
        *host = bytes_of(host->at + 1, host->len - 2);
    }
}
