// SPDX-License-Identifier: MIT
#include "upstream/curl_late.h"

#include <stddef.h>

static_assert(CURL_IS_LONG((curl_off_t)0), "CURL_SET takes a curl_off_t for a long");

struct curl_functions libcurl;

static const char *const names[] = {
#define CURL_NAME(name) "curl_" #name,
    CURL_FUNCTIONS(CURL_NAME)
#undef CURL_NAME
        NULL,
};

static struct late_library library = LATE_LIBRARY("libcurl.so.4", "libcurl4", names, &libcurl);
static pthread_once_t is_ready = PTHREAD_ONCE_INIT;

static void prepare(void);

int curl_late_load(char why[LATE_WHY_BYTES])
{
    int failure = late_load(&library, why);
    if (failure == 0) {
        pthread_once(&is_ready, prepare);
    }
    return failure;
}

/// It is never undone: the process ends.
static void prepare(void)
{
    CHECK(libcurl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}
