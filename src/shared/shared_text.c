// SPDX-License-Identifier: MIT
#include "shared/shared_text.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

static_assert(KEY_PREFIX_BYTES == sizeof(uint16_t), "before each key stands its length");

int shared_text_new(struct bytes bytes, struct shared_text **made)
{
    struct shared_text *text = mem_try_resize(NULL, sizeof(struct shared_text) + bytes.len);
    if (text == NULL) {
        return -ENOMEM;
    }
    atomic_init(&text->hold_count, 1);
    text->len = bytes.len;
    memcpy(text->at, bytes.at, bytes.len);
    *made = text;
    return 0;
}

void shared_text_hold(struct shared_text *text)
{
    size_t before = atomic_fetch_add_explicit(&text->hold_count, 1, memory_order_relaxed);
    DCHECK(before > 0); // nobody can hold what was freed
}

void shared_text_release(struct shared_text *text)
{
    if (text == NULL) {
        return;
    }
    size_t before = atomic_fetch_sub_explicit(&text->hold_count, 1, memory_order_acq_rel);
    DCHECK(before > 0);
    if (before == 1) {
        mem_free(text);
    }
}

struct bytes shared_text_bytes(const struct shared_text *text)
{
    DCHECK(text->hold_count > 0);
    return bytes_of(text->at, text->len);
}

bool shared_next_key(struct bytes *rest, struct bytes *key)
{
    uint16_t len;
    if (rest->len == 0) {
        return false;
    }
    DCHECK(rest->len > KEY_PREFIX_BYTES);
    memcpy(&len, rest->at, KEY_PREFIX_BYTES);
    DCHECK(len > 0 && rest->len - KEY_PREFIX_BYTES >= len);
    *key = bytes_of(rest->at + KEY_PREFIX_BYTES, len);
    *rest = bytes_skip(*rest, KEY_PREFIX_BYTES + (size_t)len);
    return true;
}
