// SPDX-License-Identifier: MIT
#include "wire/json_keys.h"

#include "base/check.h"

#include <stdbool.h>

static bool is_before(const struct json_key *a, const struct json_key *b);
static void sift_down(struct json_key *keys, size_t count, size_t at);

struct json_key json_key_of(struct bytes text, int64_t tag)
{
    struct json_key key = {.text = text, .tag = tag};
    for (size_t i = 0; i < sizeof(key.front); i++) {
        key.front = key.front << 8 | (i < text.len ? (unsigned char)text.at[i] : 0);
    }
    return key;
}

void json_keys_settle(struct json_key *keys, size_t count, size_t at)
{
    DCHECK(at >= 1 && at <= count / 2);
    sift_down(keys, count, at - 1);
}

struct json_key json_keys_take(struct json_key *keys, size_t count)
{
    DCHECK(count > 0);
    struct json_key first = keys[0];
    keys[0] = keys[count - 1];
    sift_down(keys, count - 1, 0);
    DCHECK(count == 1 || !is_before(&keys[0], &first));
    return first;
}

/// Keys with equal fronts may differ behind them, or in length: a front is filled up with zero
/// bytes.
static bool is_before(const struct json_key *a, const struct json_key *b)
{
    if (a->front != b->front) {
        return a->front < b->front;
    }
    size_t len = a->text.len < b->text.len ? a->text.len : b->text.len;
    int order = len == 0 ? 0 : memcmp(a->text.at, b->text.at, len);
    return order != 0 ? order < 0 : a->text.len < b->text.len;
}

/// Moves the key at `at` down until no key below it is smaller.
static void sift_down(struct json_key *keys, size_t count, size_t at)
{
    struct json_key key = keys[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_before(&keys[child + 1], &keys[child])) {
            child++;
        }
        if (!is_before(&keys[child], &key)) {
            break;
        }
        keys[at] = keys[child];
        at = child;
    }
    DCHECK(at == 0 || at < count);
    keys[at] = key;
}
