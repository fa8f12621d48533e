// SPDX-License-Identifier: MIT
#include "upstream/address.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/socket_address.h"
#include "upstream/curl_late.h"
#include "wire/ip.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int read_parts(struct upstream_address *address, CURLU *url);
static bool has_part(CURLU *url, CURLUPart part);
static int read_host(struct upstream_address *address, CURLU *url);
static bool is_localhost(const char *host);

int upstream_address_init(struct upstream_address *address, const char *text)
{
    *address = (struct upstream_address){0};
    CURLU *url = libcurl.url();
    int failure = UPSTREAM_BAD_URL;
    if (url != NULL && strstr(text, "://") != NULL &&
        libcurl.url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
        failure = read_parts(address, url);
    }
    libcurl.url_cleanup(url);
    return failure;
}

void upstream_address_deinit(struct upstream_address *address)
{
    mem_free(address->host);
    address->host = NULL;
}

bool upstream_address_is_public(const struct sockaddr *address)
{
    struct ip ip;
    if (address->sa_family == AF_INET) {
        ip = ip_of_four((const unsigned char *)&((const struct sockaddr_in *)address)->sin_addr);
    } else if (address->sa_family == AF_INET6) {
        memcpy(ip.bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, sizeof(ip.bytes));
    } else {
        return false;
    }
    return ip_is_public(&ip);
}

int upstream_url_resolve(const char *base, const char *reference, char **joined)
{
    int failure = UPSTREAM_BAD_URL;
    char *text = NULL;
    CURLU *url = libcurl.url();
    if (url != NULL && libcurl.url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
        libcurl.url_set(url, CURLUPART_URL, reference, 0) == CURLUE_OK &&
        libcurl.url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK) {
        *joined = mem_string(bytes_from_string(text));
        failure = 0;
    }
    libcurl.free(text);
    libcurl.url_cleanup(url);
    return failure;
}

static int read_parts(struct upstream_address *address, CURLU *url)
{
    char *scheme = NULL;
    char *port = NULL;
    if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD)) {
        return UPSTREAM_PASSWORD;
    }
    int failure = UPSTREAM_BAD_URL;
    if (libcurl.url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK) {
        address->is_tls = strcasecmp(scheme, "https") == 0;
        if ((address->is_tls || strcasecmp(scheme, "http") == 0) &&
            libcurl.url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
            address->port = (uint16_t)strtoul(port, NULL, 10);
            failure = address->port == 0 ? UPSTREAM_BAD_URL : read_host(address, url);
        }
    }
    libcurl.free(scheme);
    libcurl.free(port);
    return failure;
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has_it = libcurl.url_get(url, part, &text, 0) == CURLUE_OK;
    libcurl.free(text);
    return has_it;
}

static int read_host(struct upstream_address *address, CURLU *url)
{
    struct socket_address parsed;
    char *text = NULL;
    if (libcurl.url_get(url, CURLUPART_HOST, &text, 0) != CURLUE_OK) {
        return UPSTREAM_BAD_URL;
    }
    struct bytes host = bytes_from_string(text);
    if (host.len >= 2 && host.at[0] == '[') {
        host = bytes_of(host.at + 1, host.len - 2);
    }
    address->host = mem_string(host);
    libcurl.free(text);
    bool is_here = is_localhost(address->host);
    address->is_direct =
        is_here || socket_address_parse(&parsed, address->host, address->port) == 0;
    address->is_private =
        is_here || (address->is_direct &&
                    !upstream_address_is_public((const struct sockaddr *)&parsed.storage));
    DCHECK(address->port != 0);
    return 0;
}

/// curl gives these the loopback addresses without asking anybody (RFC 6761, section 6.3).
static bool is_localhost(const char *host)
{
    const char tail[] = ".localhost";
    size_t len = strlen(host);
    size_t tail_len = sizeof(tail) - 1;
    return strcasecmp(host, "localhost") == 0 ||
           (len > tail_len && strcasecmp(host + len - tail_len, tail) == 0);
}
