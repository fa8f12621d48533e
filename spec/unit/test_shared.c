// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/mem.h"
#include "shared/shared.h"
#include "shared/shared_text.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>

enum { MIB = 1024 * 1024, THREADS = 4, ROUNDS = 10000 };

static struct shared_value string(struct bytes bytes)
{
    return (struct shared_value){.type = SHARED_STRING, .string = bytes};
}

static struct shared_value integer(int64_t number)
{
    return (struct shared_value){.type = SHARED_INTEGER, .integer = number};
}

static struct shared_value floating(double number)
{
    return (struct shared_value){.type = SHARED_FLOAT, .number = number};
}

static struct shared_write at(struct bytes key, uint64_t now_ms, uint64_t ttl_ms)
{
    return (struct shared_write){key, now_ms, ttl_ms, MIB};
}

static int set(struct shared_store *store, const char *key, struct shared_value value)
{
    struct shared_write write = at(bytes_from_string(key), 0, 0);
    return shared_set(store, &write, &value);
}

/// The integer under `key`, or -1.
static int64_t integer_at(struct shared_store *store, const char *key, uint64_t now_ms)
{
    struct shared_value value = {.type = SHARED_BOOLEAN};
    bool is_there = shared_get(store, bytes_from_string(key), now_ms, &value);
    return is_there && value.type == SHARED_INTEGER ? value.integer : -1;
}

static bool holds_string(struct shared_store *store, const char *key, struct bytes wanted)
{
    struct shared_value value = {.type = SHARED_BOOLEAN};
    bool is_there = shared_get(store, bytes_from_string(key), 0, &value);
    bool is_same = is_there && value.type == SHARED_STRING && bytes_equal(value.string, wanted);
    shared_text_release(is_there ? value.text : NULL);
    return is_same;
}

static int incr(struct shared_store *store, struct shared_value by, struct shared_value init,
                struct shared_value *sum)
{
    struct shared_write write = at(BYTES("n"), 0, 0);
    struct shared_step step = {by, init};
    return shared_incr(store, &write, &step, sum);
}

TEST(a_shared_store_gives_back_what_it_was_given_of_each_type)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_value value;
    struct shared_value truth = {.type = SHARED_BOOLEAN, .boolean = true};
    EXPECT(!shared_get(store, BYTES("none"), 0, &value));
    EXPECT_INT(set(store, "truth", truth), 0);
    EXPECT(shared_get(store, BYTES("truth"), 0, &value));
    EXPECT(value.type == SHARED_BOOLEAN && value.boolean && value.text == NULL);
    EXPECT_INT(set(store, "integer", integer(INT64_MIN)), 0);
    EXPECT(integer_at(store, "integer", 0) == INT64_MIN);
    EXPECT_INT(set(store, "float", floating(-0.5)), 0);
    EXPECT(shared_get(store, BYTES("float"), 0, &value));
    EXPECT(value.type == SHARED_FLOAT && value.number == -0.5);
    EXPECT_INT(set(store, "string", string(BYTES("a\0b"))), 0);
    EXPECT(holds_string(store, "string", BYTES("a\0b")));
    EXPECT_INT(set(store, "string", string(BYTES(""))), 0);
    EXPECT(holds_string(store, "string", BYTES("")));
    EXPECT_INT(shared_count(store, 0), 4);
    EXPECT(shared_remove(store, BYTES("string"), 0));
    EXPECT(!shared_remove(store, BYTES("string"), 0));
    EXPECT(!shared_get(store, BYTES("string"), 0, &value));
    shared_release(store);
    shared_free(shared);
}

TEST(shared_stores_of_two_names_have_nothing_in_common)
{
    struct shared *shared = shared_new();
    struct shared_store *one = shared_hold(shared, BYTES("one"));
    struct shared_store *two = shared_hold(shared, BYTES("two"));
    struct shared_store *same = shared_hold(shared, BYTES("one"));
    EXPECT(one == same && one != two);
    EXPECT_INT(set(one, "key", integer(1)), 0);
    EXPECT_INT(integer_at(same, "key", 0), 1);
    EXPECT_INT(integer_at(two, "key", 0), -1);
    shared_release(one);
    shared_release(two);
    shared_release(same);
    shared_free(shared);
}

TEST(a_shared_store_lives_while_it_is_held_or_has_a_value)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    EXPECT_INT(shared_bytes(shared), 0); // an empty store counts nothing
    EXPECT_INT(set(store, "key", integer(5)), 0);
    EXPECT(shared_bytes(shared) > 0);
    shared_release(store);
    store = shared_hold(shared, BYTES("store"));
    EXPECT_INT(integer_at(store, "key", 0), 5);
    EXPECT(shared_remove(store, BYTES("key"), 0));
    EXPECT_INT(shared_bytes(shared), 0);
    shared_release(store);
    shared_free(shared);
}

TEST(a_shared_store_that_only_time_empties_is_gone_too)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("left"));
    struct shared_store *other = shared_hold(shared, BYTES("other"));
    struct shared_value value = string(BYTES("text"));
    struct shared_write write = at(BYTES("key"), 100, 50);
    EXPECT_INT(shared_set(store, &write, &value), 0);
    shared_release(store);
    EXPECT(shared_bytes(shared) > 0);
    EXPECT_INT(shared_count(other, 150), 0); // the next call removes it
    EXPECT_INT(shared_bytes(shared), 0);
    shared_release(other);
    shared_free(shared);
}

TEST(a_string_that_was_got_outlives_its_key)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_value old;
    EXPECT_INT(set(store, "key", string(BYTES("old"))), 0);
    EXPECT(shared_get(store, BYTES("key"), 0, &old));
    EXPECT_INT(set(store, "key", string(BYTES("new"))), 0);
    EXPECT(holds_string(store, "key", BYTES("new")));
    EXPECT(shared_remove(store, BYTES("key"), 0));
    shared_release(store);
    shared_free(shared);
    EXPECT_BYTES(old.string, BYTES("old"));
    shared_text_release(old.text);
}

TEST(add_takes_only_a_key_that_is_not_there)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_write write = at(BYTES("key"), 10, 5);
    struct shared_value one = string(BYTES("one"));
    struct shared_value two = string(BYTES("two"));
    EXPECT_INT(shared_add(store, &write, &one), 0);
    EXPECT_INT(shared_add(store, &write, &two), -EEXIST);
    EXPECT(holds_string(store, "key", BYTES("one")));
    write.now_ms = 15; // it has expired
    EXPECT_INT(shared_add(store, &write, &two), 0);
    EXPECT(holds_string(store, "key", BYTES("two")));
    shared_release(store);
    shared_free(shared);
}

TEST(incr_counts_from_what_is_there_or_from_init)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_value sum;
    EXPECT_INT(incr(store, integer(3), integer(10), &sum), 0);
    EXPECT(sum.type == SHARED_INTEGER && sum.integer == 13);
    EXPECT_INT(incr(store, integer(-20), integer(10), &sum), 0);
    EXPECT(sum.type == SHARED_INTEGER && sum.integer == -7);
    EXPECT_INT(incr(store, floating(0.5), integer(0), &sum), 0);
    EXPECT(sum.type == SHARED_FLOAT && sum.number == -6.5);
    EXPECT_INT(incr(store, integer(1), integer(0), &sum), 0);
    EXPECT(sum.type == SHARED_FLOAT && sum.number == -5.5);
    shared_release(store);
    shared_free(shared);
}

TEST(incr_answers_what_has_no_sum_and_changes_nothing_then)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_value sum;
    struct shared_value truth = {.type = SHARED_BOOLEAN, .boolean = true};
    EXPECT_INT(incr(store, integer(1), integer(INT64_MAX), &sum), -ERANGE);
    EXPECT_INT(shared_count(store, 0), 0);
    EXPECT_INT(set(store, "n", integer(INT64_MIN)), 0);
    EXPECT_INT(incr(store, integer(-1), integer(0), &sum), -ERANGE);
    EXPECT(integer_at(store, "n", 0) == INT64_MIN);
    EXPECT_INT(set(store, "n", floating(1.5e308)), 0);
    EXPECT_INT(incr(store, floating(1.5e308), integer(0), &sum), -ERANGE);
    EXPECT_INT(set(store, "n", floating((double)NAN)), 0);
    EXPECT_INT(incr(store, integer(1), integer(0), &sum), -ERANGE);
    EXPECT_INT(set(store, "n", string(BYTES("1"))), 0);
    EXPECT_INT(incr(store, integer(1), integer(0), &sum), -EINVAL);
    EXPECT(holds_string(store, "n", BYTES("1")));
    EXPECT_INT(set(store, "n", truth), 0);
    EXPECT_INT(incr(store, integer(1), integer(0), &sum), -EINVAL);
    shared_release(store);
    shared_free(shared);
}

TEST(what_has_expired_is_never_seen)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_value value = integer(7);
    struct shared_write write = at(BYTES("key"), 1000, 10);
    EXPECT_INT(shared_set(store, &write, &value), 0);
    EXPECT_INT(integer_at(store, "key", 1009), 7);
    EXPECT_INT(integer_at(store, "key", 1010), -1);
    EXPECT_INT(integer_at(store, "key", 1000), -1); // another thread, whose clock is behind
    EXPECT_INT(shared_bytes(shared), 0);
    write.now_ms = 1005; // counted from the latest moment that anybody has seen
    EXPECT_INT(shared_set(store, &write, &value), 0);
    EXPECT_INT(integer_at(store, "key", 1019), 7);
    EXPECT(!shared_remove(store, BYTES("key"), 1020));
    shared_release(store);
    shared_free(shared);
}

TEST(set_replaces_the_ttl_and_incr_keeps_it)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_value value = integer(1);
    struct shared_value sum;
    struct shared_step step = {integer(1), integer(0)};
    struct shared_write write = at(BYTES("key"), 0, 10);
    EXPECT_INT(shared_incr(store, &write, &step, &sum), 0);
    write.now_ms = 9;
    EXPECT_INT(shared_incr(store, &write, &step, &sum), 0);
    EXPECT_INT(sum.integer, 2);
    write.now_ms = 10;
    EXPECT_INT(shared_incr(store, &write, &step, &sum), 0);
    EXPECT_INT(sum.integer, 1);
    EXPECT_INT(shared_set(store, &write, &value), 0);
    EXPECT_INT(integer_at(store, "key", 19), 1);
    write.ttl_ms = 0;
    EXPECT_INT(shared_set(store, &write, &value), 0);
    EXPECT_INT(integer_at(store, "key", 1000000), 1);
    shared_release(store);
    shared_free(shared);
}

/// Sets keys until `bytes_max` has no room for another one. Returns how many.
static int fill(struct shared_store *store, uint64_t bytes_max, uint64_t ttl_ms)
{
    char key[24];
    int count = 0;
    int result = 0;
    while (result == 0) {
        int len = snprintf(key, sizeof(key), "key %d", count);
        struct shared_write write = {bytes_of(key, (size_t)len), 0, ttl_ms, bytes_max};
        struct shared_value value = string(BYTES("some text of some bytes"));
        result = shared_set(store, &write, &value);
        count += result == 0;
    }
    EXPECT_INT(result, -ENOBUFS);
    return count;
}

TEST(shared_stores_hold_no_more_than_they_may_and_lose_nothing)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_store *other = shared_hold(shared, BYTES("other"));
    struct shared_value value = integer(1);
    struct shared_value sum;
    struct shared_step step = {integer(1), integer(0)};
    int count = fill(store, 64 * 1024, 0);
    EXPECT(count > 100);
    EXPECT(shared_bytes(shared) <= 64 * 1024);
    struct shared_write write = {BYTES("key"), 0, 0, 64 * 1024};
    EXPECT_INT(shared_set(other, &write, &value), -ENOBUFS); // the limit is that of all together
    EXPECT_INT(shared_add(other, &write, &value), -ENOBUFS);
    EXPECT_INT(shared_incr(other, &write, &step, &sum), -ENOBUFS);
    EXPECT_INT(shared_count(store, 0), count);
    EXPECT_INT(shared_count(other, 0), 0);
    EXPECT(shared_remove(store, BYTES("key 0"), 0));
    EXPECT_INT(shared_add(store, &write, &value), 0);
    write.bytes_max = 100; // a lowered limit lets in what does not grow
    EXPECT_INT(shared_incr(store, &write, &step, &sum), 0);
    EXPECT_INT(shared_set(store, &write, &value), 0);
    value = string(BYTES(""));
    EXPECT_INT(shared_set(store, &write, &value), -ENOBUFS);
    EXPECT_INT(integer_at(store, "key", 0), 1);
    shared_release(store);
    shared_release(other);
    shared_free(shared);
}

TEST(what_has_expired_stands_in_nobodys_way)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_store *other = shared_hold(shared, BYTES("other"));
    char *large = mem_zero(60 * 1024);
    EXPECT(fill(store, 64 * 1024, 100) > 100);
    struct shared_value value = string(bytes_of(large, 60 * 1024));
    struct shared_write write = {BYTES("key"), 99, 0, 64 * 1024};
    EXPECT_INT(shared_set(other, &write, &value), -ENOBUFS);
    write.now_ms = 100;
    EXPECT_INT(shared_set(other, &write, &value), 0);
    EXPECT(fill(store, MIB, 100) > 1000);
    EXPECT_INT(shared_count(store, 200), 0);
    EXPECT(shared_remove(other, BYTES("key"), 200));
    EXPECT_INT(shared_bytes(shared), 0);
    shared_release(store);
    shared_release(other);
    shared_free(shared);
    mem_free(large);
}

TEST(each_use_of_shared_stores_frees_some_of_what_has_expired)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_store *other = shared_hold(shared, BYTES("other"));
    int count = fill(store, MIB, 100);
    for (int i = 0; i < count; i++) {
        EXPECT_INT(integer_at(other, "key", 100), -1);
    }
    EXPECT_INT(shared_bytes(shared), 0);
    shared_release(store);
    shared_release(other);
    shared_free(shared);
}

TEST(keys_are_all_keys_once_and_never_more_than_asked_for)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    char name[SHARED_KEY_BYTES_MAX + 1] = {0};
    memset(name, 'x', SHARED_KEY_BYTES_MAX);
    EXPECT_INT(set(store, name, integer(0)), 0);
    for (int i = 1; i < 100; i++) {
        snprintf(name, sizeof(name), "%d", i);
        EXPECT_INT(set(store, name, integer(i)), 0);
    }
    static const size_t limits[] = {1, 31, 32, 33, 64, 99, 100, 101, SIZE_MAX};
    for (size_t l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
        struct shared_text *text;
        EXPECT_INT(shared_keys(store, 0, limits[l], &text), 0);
        struct bytes rest = shared_text_bytes(text);
        struct bytes key;
        int count = 0;
        while (shared_next_key(&rest, &key)) {
            snprintf(name, sizeof(name), "%d", count);
            EXPECT(count == 0 ? key.len == SHARED_KEY_BYTES_MAX
                              : bytes_equal(key, bytes_from_string(name)));
            count++;
        }
        EXPECT_INT(count, limits[l] < 100 ? limits[l] : 100);
        shared_text_release(text);
    }
    shared_release(store);
    shared_free(shared);
}

TEST(keys_leave_out_what_has_expired)
{
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    EXPECT(fill(store, 64 * 1024, 100) > 100);
    EXPECT_INT(set(store, "stays", integer(1)), 0);
    struct shared_text *text;
    EXPECT_INT(shared_keys(store, 100, 1000, &text), 0);
    struct bytes rest = shared_text_bytes(text);
    struct bytes key;
    EXPECT(shared_next_key(&rest, &key));
    EXPECT_BYTES(key, BYTES("stays"));
    EXPECT(!shared_next_key(&rest, &key));
    shared_text_release(text);
    EXPECT_INT(shared_keys(store, 100, 0, &text), 0);
    EXPECT_INT(shared_text_bytes(text).len, 0);
    shared_text_release(text);
    shared_release(store);
    shared_free(shared);
}

TEST(stores_that_are_full_are_freed_with_all_that_is_in_them)
{
    struct shared *shared = shared_new();
    char name[24];
    for (int i = 0; i < 50; i++) {
        int len = snprintf(name, sizeof(name), "store %d", i);
        struct shared_store *store = shared_hold(shared, bytes_of(name, (size_t)len));
        EXPECT(fill(store, 16 * 1024 * (uint64_t)(i + 1), i % 2 == 0 ? 0 : 50) > 10);
        shared_release(store);
    }
    shared_free(shared);
}

/// One thread of the stress test, with the number of wrong answers that it got. It counts them
/// because an expectation that fails would jump out of its thread.
struct worker {
    pthread_t thread;
    struct shared *shared;
    int number;
    int won;    // keys that it was first to add
    int wrongs; // impossible answers
};

/// Makes a string that repeats one letter. The letter decides the length.
static void write_letters(struct worker *worker, struct shared_store *store, int round)
{
    char text[26 * 40];
    size_t letter = (size_t)(round + worker->number) % 26;
    memset(text, 'a' + (int)letter, sizeof(text));
    struct shared_value value = string(bytes_of(text, (letter + 1) * 40));
    struct shared_write write = at(BYTES("letters"), (uint64_t)round, round % 3 == 0 ? 5 : 0);
    worker->wrongs += shared_set(store, &write, &value) != 0;
}

static void read_letters(struct worker *worker, struct shared_store *store, int round)
{
    struct shared_value value;
    if (!shared_get(store, BYTES("letters"), (uint64_t)round, &value)) {
        return;
    }
    struct bytes bytes = value.string;
    worker->wrongs += bytes.len != (size_t)(bytes.at[0] - 'a' + 1) * 40;
    for (size_t i = 0; i < bytes.len; i++) {
        worker->wrongs += bytes.at[i] != bytes.at[0];
    }
    shared_text_release(value.text);
}

static void count_on(struct worker *worker, struct shared_store *store, int round)
{
    struct shared_value sum;
    struct shared_step step = {integer(1), integer(0)};
    struct shared_write write = at(BYTES("sum"), (uint64_t)round, 0);
    int64_t before = integer_at(store, "sum", (uint64_t)round);
    worker->wrongs += shared_incr(store, &write, &step, &sum) != 0;
    worker->wrongs += sum.integer <= before;
}

static void claim(struct worker *worker, struct shared_store *store, int round)
{
    char key[24];
    int len = snprintf(key, sizeof(key), "claim %d", round);
    struct shared_write write = at(bytes_of(key, (size_t)len), (uint64_t)round, 0);
    struct shared_value value = integer(worker->number);
    int result = shared_add(store, &write, &value);
    worker->won += result == 0;
    worker->wrongs += result != 0 && result != -EEXIST;
}

/// Stores are made and freed: the last release of an empty store frees it.
static void pass_by(struct worker *worker, int round)
{
    struct shared_store *store = shared_hold(worker->shared, BYTES("passing"));
    struct shared_value value = integer(round);
    struct shared_write write = at(BYTES("key"), (uint64_t)round, 1);
    worker->wrongs += shared_set(store, &write, &value) != 0;
    shared_remove(store, BYTES("key"), (uint64_t)round);
    shared_release(store);
}

static void list_claims(struct worker *worker, struct shared_store *store, int round)
{
    size_t count = shared_count(store, (uint64_t)round);
    struct shared_text *text;
    EXPECT_INT(shared_keys(store, (uint64_t)round, SIZE_MAX, &text), 0);
    struct bytes rest = shared_text_bytes(text);
    struct bytes key;
    while (shared_next_key(&rest, &key)) {
        worker->wrongs += !bytes_starts_with(key, BYTES("claim ")); // no other keys are there
        count -= count > 0;
    }
    worker->wrongs += count > 0; // none of them expires
    shared_text_release(text);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct shared_store *store = shared_hold(worker->shared, BYTES("store"));
    struct shared_store *claims = shared_hold(worker->shared, BYTES("claims"));
    for (int round = 0; round < ROUNDS; round++) {
        count_on(worker, store, round);
        write_letters(worker, store, round);
        read_letters(worker, store, round);
        pass_by(worker, round);
        if (round % 8 == 0) {
            claim(worker, claims, round);
        }
        if (round % 500 == 0) {
            list_claims(worker, claims, round);
        }
    }
    shared_release(store);
    shared_release(claims);
    return NULL;
}

TEST(threads_share_stores_and_never_see_half_of_anything)
{
    struct shared *shared = shared_new();
    struct worker workers[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.shared = shared, .number = i};
        EXPECT(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    int won = 0;
    int wrongs = 0;
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_join(workers[i].thread, NULL) == 0);
        won += workers[i].won;
        wrongs += workers[i].wrongs;
    }
    EXPECT_INT(wrongs, 0);
    EXPECT_INT(won, ROUNDS / 8);
    struct shared_store *store = shared_hold(shared, BYTES("store"));
    struct shared_store *claims = shared_hold(shared, BYTES("claims"));
    EXPECT_INT(integer_at(store, "sum", ROUNDS), THREADS * ROUNDS);
    EXPECT_INT(shared_count(claims, ROUNDS), ROUNDS / 8);
    shared_release(store);
    shared_release(claims);
    shared_free(shared);
}

TEST(a_store_refuses_values_for_which_there_is_no_memory_and_keeps_the_others)
{
    if (!unit_limit_memory(2 * MIB)) {
        return;
    }
    struct shared *shared = shared_new();
    struct shared_store *store = shared_hold(shared, BYTES("s"));
    char key[32];
    int64_t count = 0;
    int result = 0;
    for (; result == 0; count++) {
        struct shared_value value = integer(count);
        int len = snprintf(key, sizeof(key), "key %d", (int)count);
        struct shared_write write = {bytes_of(key, (size_t)len), 0, 1000, UINT64_MAX};
        result = shared_set(store, &write, &value);
    }
    EXPECT_INT(result, -ENOMEM);
    count--;
    EXPECT(count > 1000);
    EXPECT_INT(shared_count(store, 0), count);
    uint64_t bytes = shared_bytes(shared);
    char *text = mem_zero(64);
    struct shared_value long_value = string(bytes_of(text, 64));
    long_value.string.len = (size_t)64 * MIB; // there is no memory for a copy, so it is not read
    struct shared_write write = {BYTES("key 0"), 0, 0, UINT64_MAX};
    EXPECT_INT(shared_set(store, &write, &long_value), -ENOMEM);
    mem_free(text);
    EXPECT_INT(shared_bytes(shared), bytes);
    for (int64_t i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "key %d", (int)i);
        EXPECT_INT(integer_at(store, key, 0), i);
    }
    unit_free_memory();
    EXPECT_INT(set(store, "one more", integer(1)), -ENOBUFS); // more than a mebibyte is there
    EXPECT_INT(shared_count(store, 1000), 0);
    EXPECT_INT(set(store, "one more", integer(1)), 0);
    shared_release(store);
    shared_free(shared);
}
