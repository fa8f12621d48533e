// SPDX-License-Identifier: MIT
#include "base/late.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(void *) == sizeof(void (*)(void)), "dlsym's result holds a function");

static int load(struct late_library *library, char *why);
static const char *find_functions(void *handle, const struct late_library *library);

int late_load(struct late_library *library, char why[LATE_WHY_BYTES])
{
    if (atomic_load_explicit(&library->_is_loaded, memory_order_acquire)) {
        return 0;
    }
    CHECK(pthread_mutex_lock(&library->_lock) == 0);
    int failure = load(library, why);
    atomic_store_explicit(&library->_is_loaded, failure == 0, memory_order_release);
    CHECK(pthread_mutex_unlock(&library->_lock) == 0);
    return failure;
}

/// Another thread may have loaded it meanwhile. All functions of the library are bound now: one
/// that lacks another's function is to fail here, and not in the midst of a request.
static int load(struct late_library *library, char *why)
{
    if (atomic_load_explicit(&library->_is_loaded, memory_order_relaxed)) {
        return 0;
    }
    void *handle = dlopen(library->soname, RTLD_NOW | RTLD_LOCAL);
    const char *lacking = handle == NULL ? NULL : find_functions(handle, library);
    if (handle != NULL && lacking == NULL) {
        return 0;
    }
    if (handle == NULL) {
        snprintf(why, LATE_WHY_BYTES, "%s cannot be loaded; install the package %s (%s)",
                 library->soname, library->package, dlerror());
    } else {
        snprintf(why, LATE_WHY_BYTES, "%s has no %s; install a newer package %s", library->soname,
                 lacking, library->package);
        IGNORE(dlclose(handle)); // a failure leaves it there, and the next call opens it again
    }
    return -ELIBACC;
}

/// Returns the name of the first function that the library does not have, or NULL.
static const char *find_functions(void *handle, const struct late_library *library)
{
    char *place = library->functions;
    for (const char *const *name = library->names; *name != NULL; name++) {
        void *function = dlsym(handle, *name);
        if (function == NULL) {
            return *name;
        }
        memcpy(place, &function, sizeof(function));
        place += sizeof(function);
    }
    return NULL;
}
