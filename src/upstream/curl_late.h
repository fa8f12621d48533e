// SPDX-License-Identifier: MIT
//
// libcurl, which is loaded when the first client is made (base/late.h). Its functions are called as
// `libcurl.easy_init()`, and options are set by CURL_SET and CURLM_SET.
#pragma once

#include "base/late.h"

#include <assert.h>
#include <curl/curl.h>

/// All functions of libcurl that are used, without their `curl_`.
#define CURL_FUNCTIONS(X)                                                                          \
    X(easy_cleanup)                                                                                \
    X(easy_getinfo)                                                                                \
    X(easy_init)                                                                                   \
    X(easy_pause)                                                                                  \
    X(easy_setopt)                                                                                 \
    X(free)                                                                                        \
    X(global_init)                                                                                 \
    X(multi_add_handle)                                                                            \
    X(multi_cleanup)                                                                               \
    X(multi_info_read)                                                                             \
    X(multi_init)                                                                                  \
    X(multi_remove_handle)                                                                         \
    X(multi_setopt)                                                                                \
    X(multi_socket_action)                                                                         \
    X(multi_timeout)                                                                               \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(url)                                                                                         \
    X(url_cleanup)                                                                                 \
    X(url_get)                                                                                     \
    X(url_set)

struct curl_functions {
#define CURL_MEMBER(name) __typeof__(&curl_##name) name;
    CURL_FUNCTIONS(CURL_MEMBER)
#undef CURL_MEMBER
};

extern struct curl_functions libcurl;

/// Loads libcurl, and prepares it, once in the process. Returns 0 or -ELIBACC with the reason; see
/// `late_load`. Whoever makes a multi has called it before, on the same thread.
MUST_USE int curl_late_load(char why[LATE_WHY_BYTES]);

/// Sets an option of an easy handle, and of a multi. Both functions take anything, and an int in
/// the place of a long is read wrongly; here it does not compile.
#define CURL_SET(easy, option, value) CURL_SET_BY(libcurl.easy_setopt, easy, option, value)
#define CURLM_SET(multi, option, value) CURL_SET_BY(libcurl.multi_setopt, multi, option, value)

#define CURL_SET_BY(function, handle, option, value)                                               \
    ((void)sizeof(struct {                                                                         \
         static_assert(CURL_TAKES_LONG(option) == CURL_IS_LONG(value), "a long, or an address");   \
         char unused;                                                                              \
     }),                                                                                           \
     function((handle), (option), (value)))
#define CURL_TAKES_LONG(option)                                                                    \
    ((option) < CURLOPTTYPE_OBJECTPOINT ||                                                         \
     ((option) >= CURLOPTTYPE_OFF_T && (option) < CURLOPTTYPE_BLOB))
#define CURL_IS_LONG(value) __builtin_types_compatible_p(__typeof__(value), long)
