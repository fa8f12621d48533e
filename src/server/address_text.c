// SPDX-License-Identifier: MIT
#include "server/address_text.h"

#include "base/check.h"
#include "script/application.h"

#include <stdlib.h>
#include <string.h>

bool address_text_parse(const char *text, struct address *address)
{
    *address = (struct address){.is_unix = strncmp(text, "unix:", 5) == 0};
    const char *host = address->is_unix ? text + 5 : text;
    const char *colon = address->is_unix ? host + strlen(host) : strrchr(host, ':');
    if (colon == NULL) {
        return false;
    }
    size_t len = (size_t)(colon - host);
    if (!address->is_unix) {
        char *end = NULL;
        unsigned long port = strtoul(colon + 1, &end, 10);
        bool is_port = colon[1] >= '0' && colon[1] <= '9' && *end == '\0' && port <= UINT16_MAX;
        bool is_bracketed = len > 2 && host[0] == '[' && host[len - 1] == ']';
        address->port = (uint16_t)port;
        host += is_bracketed;
        len -= is_bracketed ? 2 : 0;
        if (!is_port || (host[0] == '[' && !is_bracketed)) {
            return false;
        }
    }
    if (len == 0 || len >= sizeof(address->text)) {
        return false;
    }
    memcpy(address->text, host, len);
    DCHECK(strlen(address->text) == len);
    return true;
}
