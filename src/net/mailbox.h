// SPDX-License-Identifier: MIT
//
// Messages from any thread to the one of a loop. A message is a member of the struct that it is
// about and is run on the loop's thread, in the order of posting; a batch of them costs one
// wake-up. Owned by the loop's owner. It must live until no thread posts any more, which is longer
// than its loop: after `mailbox_close`, on the loop's thread, nothing is taken.
#pragma once

#include "base/check.h"

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct loop;
struct message;

typedef void (*message_fn)(struct message *message);

/// Before it runs a message is the mailbox's, and must stay as it is; in `run` it is its owner's
/// again, and may be posted anew or freed.
struct message {
    struct message *_next;
    message_fn run;
    bool _is_posted;
};

struct mailbox {
    uv_async_t _async;
    pthread_mutex_t _lock;
    struct message *_first;
    struct message *_last;
    bool is_open;
};

/// On the loop's thread, or before it runs.
void mailbox_open(struct mailbox *mailbox, struct loop *loop);

/// Runs what was posted before, and takes nothing more. On the loop's thread. Idempotent.
void mailbox_close(struct mailbox *mailbox);

/// When no thread knows of it any more. It must be closed.
void mailbox_deinit(struct mailbox *mailbox);

/// Hands over `message`, from any thread. Does nothing when it is posted already. False when the
/// mailbox is closed: the message then stays with the caller, and is never run.
bool mailbox_post(struct mailbox *mailbox, struct message *message);
