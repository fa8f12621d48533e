// SPDX-License-Identifier: MIT
#include "upstream/curl_fields.h"

#include "base/mem.h"
#include "upstream/curl_late.h"

#include <errno.h>
#include <string.h>

static bool append(struct curl_slist **list, const char *line);

/// A field without a value takes away one that curl would send: here "Expect", by which it asks
/// before it sends a long body.
int curl_fields_list(struct bytes fields, struct curl_slist **list)
{
    char *text = mem_string(fields);
    char *rest = text;
    bool is_whole = true;
    *list = NULL;
    for (char *line = strsep(&rest, "\n"); line != NULL && is_whole; line = strsep(&rest, "\n")) {
        is_whole = *line == '\0' || append(list, line);
    }
    mem_free(text);
    if (is_whole && append(list, "Expect:")) {
        DCHECK(*list != NULL);
        return 0;
    }
    libcurl.slist_free_all(*list);
    *list = NULL;
    return -ENOMEM;
}

static bool append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = libcurl.slist_append(*list, line);
    *list = longer != NULL ? longer : *list;
    return longer != NULL;
}
