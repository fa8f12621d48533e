// SPDX-License-Identifier: MIT
//
// The main function of the unit tests: --list prints their names, names as arguments run those, and
// no argument runs all. Exits 1 when a test failed or a name is unknown.
#include "unit.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct unit_test {
    const char *name;
    unit_test_fn fn;
};

static struct unit_test *tests;
static size_t test_count;
static jmp_buf test_end;

static int list(void);
static bool run(const struct unit_test *test);
static int compare_names(const void *a, const void *b);
static const struct unit_test *find(const char *name);
static void print_bytes(const char *label, struct bytes bytes);

int main(int argc, char **argv)
{
    size_t passed = 0;
    size_t failed = 0;
    qsort(tests, test_count, sizeof(tests[0]), compare_names);
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        return list();
    }
    size_t wanted = argc > 1 ? (size_t)argc - 1 : test_count;
    for (size_t i = 0; i < wanted; i++) {
        const struct unit_test *test = argc > 1 ? find(argv[i + 1]) : &tests[i];
        bool is_good = test != NULL && run(test);
        passed += is_good;
        failed += !is_good;
    }
    printf("%zu passed, %zu failed\n", passed, failed);
    fflush(stdout);
    mem_free(tests);
    return failed == 0 ? 0 : 1;
}

void unit_register(const char *name, unit_test_fn fn)
{
    tests = mem_resize(tests, (test_count + 1) * sizeof(tests[0]));
    tests[test_count++] = (struct unit_test){name, fn};
}

bool unit_limit_memory(size_t size)
{
#ifdef IS_SANITIZED
    (void)size;
    return false;
#else
    unsigned long page_count = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file != NULL && fscanf(file, "%lu", &page_count) == 1);
    CHECK(fclose(file) == 0);
    struct rlimit limit = {.rlim_max = RLIM_INFINITY};
    limit.rlim_cur = page_count * (unsigned long)sysconf(_SC_PAGESIZE) + size;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    return true;
#endif
}

void unit_free_memory(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

void unit_expect(bool is_true, const char *expression, const char *file, int line)
{
    if (!is_true) {
        printf("%s:%d: not true: %s\n", file, line, expression);
        longjmp(test_end, 1);
    }
}

void unit_expect_int(int64_t seen, int64_t wanted, const char *expression, const char *file,
                     int line)
{
    if (seen != wanted) {
        printf("%s:%d: %s: seen %" PRId64 ", wanted %" PRId64 "\n", file, line, expression, seen,
               wanted);
        longjmp(test_end, 1);
    }
}

void unit_expect_bytes(struct bytes seen, struct bytes wanted, const char *expression,
                       const char *file, int line)
{
    if (!bytes_equal(seen, wanted)) {
        printf("%s:%d: %s\n", file, line, expression);
        print_bytes("seen", seen);
        print_bytes("wanted", wanted);
        longjmp(test_end, 1);
    }
}

static int list(void)
{
    for (size_t i = 0; i < test_count; i++) {
        printf("%s\n", tests[i].name);
    }
    mem_free(tests);
    return 0;
}

/// Runs one test. An expectation that fails jumps back to here.
static bool run(const struct unit_test *test)
{
    if (setjmp(test_end) != 0) {
        printf("FAILED %s\n", test->name);
        return false;
    }
    test->fn();
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const struct unit_test *left = a;
    const struct unit_test *right = b;
    return strcmp(left->name, right->name);
}

static const struct unit_test *find(const char *name)
{
    for (size_t i = 0; i < test_count; i++) {
        if (strcmp(tests[i].name, name) == 0) {
            return &tests[i];
        }
    }
    printf("no test is called %s\n", name);
    return NULL;
}

static void print_bytes(const char *label, struct bytes bytes)
{
    printf("  %s %zu bytes: \"", label, bytes.len);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.at[i];
        if (byte >= 0x20 && byte < 0x7f) {
            putchar(byte);
        } else {
            printf("\\x%02x", byte);
        }
    }
    printf("\"\n");
}
