// SPDX-License-Identifier: MIT
//
// Shared libraries that are loaded when they are first needed, and not with the program: a server
// whose scripts do not use them pays neither the time nor the memory. Once loaded, a library stays
// to the end of the process. Any thread may load one.
//
// Each library has one list of the functions that are used of it, an X-macro. It makes a struct of
// pointers, whose types come from the library's own header, and the names (upstream/curl_late.h):
//
//     #define FUNCTIONS(X) X(easy_init) X(easy_cleanup)
//     struct curl_functions { FUNCTIONS(MEMBER) };       // MEMBER: __typeof__(&curl_##name) name;
//     static const char *const names[] = { FUNCTIONS(NAME) NULL };      // NAME: "curl_" #name,
#pragma once

#include "base/check.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LATE_WHY_BYTES = 512 };

/// A static variable, made by LATE_LIBRARY.
struct late_library {
    const char *soname;       // such as "libcurl.so.4"
    const char *package;      // Debian's, for who reads that it is missing
    const char *const *names; // of the functions; NULL behind the last
    void *functions;          // a struct of as many pointers to functions, in the order of `names`
    pthread_mutex_t _lock;
    atomic_bool _is_loaded;
};

#define LATE_LIBRARY(soname_, package_, names_, functions_)                                        \
    {                                                                                              \
        .soname = (soname_), .package = (package_), .names = (names_), .functions = (functions_),  \
        ._lock = PTHREAD_MUTEX_INITIALIZER                                                         \
    }

/// Loads the library and fills in `functions`. Returns 0, also when it was loaded before. Otherwise
/// -ELIBACC, and `why` says what is missing and which package has it; the next call tries again.
/// Who has got 0 on its own thread may call the functions.
MUST_USE int late_load(struct late_library *library, char why[LATE_WHY_BYTES]);
