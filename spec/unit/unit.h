// SPDX-License-Identifier: MIT
//
// The smallest test frame that does the job. `TEST(name) { ... }` registers a test before main
// runs; the binary lists them with --list and runs the ones named on its command line, or all. A
// failed expectation prints file, line and what was seen, and ends that test; the others go on.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

typedef void (*unit_test_fn)(void);

void unit_register(const char *name, unit_test_fn fn);
/// Limits the memory of the process to what it has and about `size` bytes more. Returns false in a
/// build with a sanitizer, whose own memory is beyond any limit. A test that calls this ends with
/// `unit_free_memory`.
bool unit_limit_memory(size_t size);
void unit_free_memory(void);

void unit_expect(bool is_true, const char *expression, const char *file, int line);
void unit_expect_int(int64_t seen, int64_t wanted, const char *expression, const char *file,
                     int line);
void unit_expect_bytes(struct bytes seen, struct bytes wanted, const char *expression,
                       const char *file, int line);

#define TEST(test_name)                                                                            \
    static void test_name(void);                                                                   \
    __attribute__((constructor)) static void test_name##_register(void)                            \
    {                                                                                              \
        unit_register(#test_name, test_name);                                                      \
    }                                                                                              \
    static void test_name(void)

#define EXPECT(expression) unit_expect((expression), #expression, __FILE__, __LINE__)
#define EXPECT_INT(expression, wanted)                                                             \
    unit_expect_int((int64_t)(expression), (int64_t)(wanted), #expression, __FILE__, __LINE__)
#define EXPECT_BYTES(expression, wanted)                                                           \
    unit_expect_bytes((expression), (wanted), #expression, __FILE__, __LINE__)
