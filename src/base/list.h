// SPDX-License-Identifier: MIT
//
// An intrusive doubly linked list. A node is a member of the struct that is listed; the list never
// owns its members. A node that is in no list points at itself, so removing it twice is harmless.
// LIST_EACH allows removing the current node, but not the node behind it.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

static inline void list_init(struct list *node)
{
    node->next = node;
    node->previous = node;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

/// Whether `node` is a member of some list.
static inline bool list_is_linked(const struct list *node)
{
    return node->next != node;
}

/// Puts `node`, which is in no list, at the end of `list`.
static inline void list_append(struct list *list, struct list *node)
{
    DCHECK(node != list && list->previous->next == list);
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

/// Takes `node` out of its list, if it is in one.
static inline void list_remove(struct list *node)
{
    DCHECK(node->next->previous == node && node->previous->next == node);
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

/// Moves all members of `from` to `to`, which must be empty.
static inline void list_take(struct list *to, struct list *from)
{
    if (list_is_empty(from)) {
        list_init(to);
        return;
    }
    to->next = from->next;
    to->previous = from->previous;
    to->next->previous = to;
    to->previous->next = to;
    list_init(from);
}

/// The struct of type `type` whose list node `member` is `node`.
#define LIST_ITEM(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/// Walks the list at `head` with `node`; `after` is a second variable that makes removal of `node`
/// safe.
#define LIST_EACH(node, after, head)                                                               \
    for (struct list *node = (head)->next, *after = node->next; node != (head);                    \
         node = after, after = node->next)
