// SPDX-License-Identifier: MIT
//
// Compare-and-set of shared stores, by several threads at once.
#include "unit.h"

#include "shared/shared.h"
#include "shared/shared_text.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MIB = 1024 * 1024, THREADS = 4, ROUNDS = 3000 };

static struct shared_value text_of(const char *text)
{
    return (struct shared_value){.type = SHARED_STRING, .string = bytes_from_string(text)};
}

/// Adds one to a number that is written as a text, as often as it takes.
static void count_one(struct shared_store *store)
{
    const struct shared_write write = {.key = BYTES("count"), .bytes_max = MIB};
    int result;
    do {
        struct shared_value old;
        char seen[32] = "";
        char next[32];
        CHECK(shared_get(store, write.key, 0, &old));
        memcpy(seen, old.string.at, old.string.len);
        shared_text_release(old.text);
        snprintf(next, sizeof(next), "%06ld", strtol(seen, NULL, 10) + 1);
        struct shared_value seen_value = text_of(seen);
        struct shared_value next_value = text_of(next);
        result = shared_replace(store, &write, &seen_value, &next_value);
        CHECK(result == 0 || result == -ESTALE);
    } while (result != 0);
}

/// Replaces a text by an equal one again and again, while other threads compare it.
static void put_again(struct shared_store *store)
{
    const struct shared_write write = {.key = BYTES("same"), .bytes_max = MIB};
    struct shared_value same = text_of("the same text");
    CHECK(shared_replace(store, &write, &same, &same) == 0);
}

static void *work(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        count_one(arg);
        put_again(arg);
    }
    return NULL;
}

TEST(threads_that_replace_lose_no_change)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    const struct shared_write count = {.key = BYTES("count"), .bytes_max = MIB};
    const struct shared_write same = {.key = BYTES("same"), .bytes_max = MIB};
    struct shared_value zero = text_of("000000");
    struct shared_value text = text_of("the same text");
    EXPECT(shared_replace(store, &count, NULL, &zero) == 0);
    EXPECT(shared_replace(store, &same, NULL, &text) == 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_create(&threads[i], NULL, work, store) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_join(threads[i], NULL) == 0);
    }
    struct shared_value sum = text_of("012000");
    EXPECT(shared_replace(store, &count, &sum, NULL) == 0);
    EXPECT(shared_replace(store, &count, &sum, NULL) == -ESTALE);
    EXPECT(shared_replace(store, &same, &text, NULL) == 0);
    EXPECT_INT(shared_count(store, 0), 0);
    shared_release(store);
    shared_free(shared);
}
