// SPDX-License-Identifier: MIT
#include "shared/shared_text.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

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
    atomic_fetch_add_explicit(&text->hold_count, 1, memory_order_relaxed);
}

void shared_text_release(struct shared_text *text)
{
    if (text != NULL &&
        atomic_fetch_sub_explicit(&text->hold_count, 1, memory_order_acq_rel) == 1) {
        mem_free(text);
    }
}

struct bytes shared_text_bytes(const struct shared_text *text)
{
    return bytes_of(text->at, text->len);
}
