// SPDX-License-Identifier: MIT
#include "net/mailbox.h"

#include "net/loop.h"

#include <stddef.h>

static void on_wake(uv_async_t *async);
static void run_posted(struct mailbox *mailbox);
static struct mailbox_message *take(struct mailbox *mailbox);

void mailbox_open(struct mailbox *mailbox, struct loop *loop)
{
    *mailbox = (struct mailbox){.is_open = true};
    CHECK(pthread_mutex_init(&mailbox->_lock, NULL) == 0);
    CHECK(uv_async_init(&loop->uv, &mailbox->_async, on_wake) == 0);
}

void mailbox_close(struct mailbox *mailbox)
{
    if (!mailbox->is_open) {
        return;
    }
    pthread_mutex_lock(&mailbox->_lock);
    mailbox->is_open = false;
    pthread_mutex_unlock(&mailbox->_lock);
    run_posted(mailbox);
    uv_close((uv_handle_t *)&mailbox->_async, NULL);
}

void mailbox_deinit(struct mailbox *mailbox)
{
    CHECK(!mailbox->is_open && mailbox->_first == NULL);
    pthread_mutex_destroy(&mailbox->_lock);
}

/// The loop is woken while the lock is held, because `mailbox_close` could otherwise close the
/// handle first. Only the first message of a batch wakes it.
bool mailbox_post(struct mailbox *mailbox, struct mailbox_message *message)
{
    DCHECK(message->run != NULL);
    pthread_mutex_lock(&mailbox->_lock);
    bool is_open = mailbox->is_open;
    if (is_open && !message->_is_posted) {
        bool is_first = mailbox->_first == NULL;
        message->_is_posted = true;
        message->_next = NULL;
        *(is_first ? &mailbox->_first : &mailbox->_last->_next) = message;
        mailbox->_last = message;
        if (is_first) {
            uv_async_send(&mailbox->_async);
        }
    }
    pthread_mutex_unlock(&mailbox->_lock);
    return is_open;
}

static void on_wake(uv_async_t *async)
{
    run_posted(CONTAINER_OF(async, struct mailbox, _async));
}

/// Messages are taken one by one, because each may free its own struct or post another message.
static void run_posted(struct mailbox *mailbox)
{
    struct mailbox_message *message;
    while ((message = take(mailbox)) != NULL) {
        message->run(message);
    }
}

static struct mailbox_message *take(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->_lock);
    struct mailbox_message *message = mailbox->_first;
    if (message != NULL) {
        DCHECK(message->_is_posted);
        mailbox->_first = message->_next;
        message->_is_posted = false;
    }
    pthread_mutex_unlock(&mailbox->_lock);
    return message;
}
