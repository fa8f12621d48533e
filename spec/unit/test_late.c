// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/late.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

struct math {
    double (*cos)(double);
    double (*sin)(double);
};

enum { THREAD_COUNT = 4 };

static const char *const names[] = {"cos", "sin", NULL};
static struct math math;
static struct late_library library = LATE_LIBRARY("libm.so.6", "libc6", names, &math);

/// Loads the library, and uses it at once. Returns NULL when that went well.
static void *use(void *unused)
{
    char why[LATE_WHY_BYTES];
    (void)unused;
    return late_load(&library, why) == 0 && math.cos(0) == 1 && math.sin(0) == 0 ? NULL : &library;
}

TEST(a_library_is_loaded_by_many_threads_at_once)
{
    pthread_t threads[THREAD_COUNT];
    for (int i = 0; i < THREAD_COUNT; i++) {
        EXPECT_INT(pthread_create(&threads[i], NULL, use, NULL), 0);
    }
    for (int i = 0; i < THREAD_COUNT; i++) {
        void *failure;
        EXPECT_INT(pthread_join(threads[i], &failure), 0);
        EXPECT(failure == NULL);
    }
    EXPECT(use(NULL) == NULL);
}

TEST(a_library_that_is_not_there_is_named_with_its_package)
{
    static struct late_library missing =
        LATE_LIBRARY("liblunesse-missing.so.9", "liblunesse9", names, &math);
    char why[LATE_WHY_BYTES];
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(late_load(&missing, why), -ELIBACC);
        EXPECT_BYTES(bytes_from_string(why),
                     BYTES("liblunesse-missing.so.9 cannot be loaded; install the package "
                           "liblunesse9 (liblunesse-missing.so.9: cannot open shared object file: "
                           "No such file or directory)"));
    }
}

TEST(a_library_that_lacks_a_function_is_refused)
{
    static const char *const newer[] = {"cos", "cos_of_next_year", NULL};
    static struct math unused;
    static struct late_library old = LATE_LIBRARY("libm.so.6", "libc6", newer, &unused);
    char why[LATE_WHY_BYTES];
    EXPECT_INT(late_load(&old, why), -ELIBACC);
    EXPECT_BYTES(bytes_from_string(why),
                 BYTES("libm.so.6 has no cos_of_next_year; install a newer package libc6"));
}
