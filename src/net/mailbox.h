// SPDX-License-Identifier: MIT
//
// Messages from any thread to the thread of a loop. A message is a member of the struct that it is
// about. Messages run on the loop's thread in the order of posting, and a batch of them costs one
// wake-up. A mailbox is owned by the owner of its loop and must live longer than the loop: until no
// thread posts any more. After `mailbox_close` a post is refused.
#pragma once

#include "base/check.h"

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct loop;
struct mailbox_message;

typedef void (*mailbox_fn)(struct mailbox_message *message);

/// From `mailbox_post` until `run` a message belongs to the mailbox, and its owner must not touch
/// it. In `run` it belongs to its owner again, who may post it anew or free it.
struct mailbox_message {
    struct mailbox_message *_next;
    mailbox_fn run;
    bool _is_posted;
};

struct mailbox {
    uv_async_t _async;
    pthread_mutex_t _lock;
    struct mailbox_message *_first;
    struct mailbox_message *_last;
    bool is_open;
};

/// Called on the loop's thread, or before that thread runs.
void mailbox_open(struct mailbox *mailbox, struct loop *loop);

/// Runs the messages that were posted before, and refuses all later ones. Called on the loop's
/// thread. Idempotent.
void mailbox_close(struct mailbox *mailbox);

/// Called when the mailbox is closed and no thread knows of it any more.
void mailbox_deinit(struct mailbox *mailbox);

/// Posts `message`, from any thread. Does nothing when it is posted already. Returns false when the
/// mailbox is closed: then the message stays with the caller and is never run.
bool mailbox_post(struct mailbox *mailbox, struct mailbox_message *message);
