// SPDX-License-Identifier: MIT
//
// Every call goes the same way: `enter` takes the lock, moves the clock on and takes a few expired
// items out; the call finds its item and reads or changes it; `leave` gives the lock back and frees
// the items that were taken out. Memory is freed last, because freeing a large string takes long
// and nobody should wait for that at the lock.
//
// A write that finds no room is repeated while expired items are left: each `enter` takes out a few
// more, and other threads get the lock in between.
#include "shared/shared.h"

#include "base/buf.h"
#include "base/due_heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "shared/kept.h"
#include "shared/shared_text.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

struct shared {
    pthread_mutex_t lock; // guards all that follows, and the stores
    struct map stores;
    struct list store_list;
    struct due_heap expiries; // of items that have a ttl
    uint64_t bytes;
    uint64_t now_ms; // the latest that anybody has said
};

struct shared_store {
    struct map_entry entry; // shared->stores
    struct list node;       // shared->store_list
    struct shared *shared;
    struct map items;
    struct list by_age; // struct age_link: the items, oldest first, and the walkers among them
    size_t hold_count;
    uint64_t bytes; // of its items and of itself, which are part of shared->bytes
    uint64_t bytes_max;
    char name[];
};

/// A link of the list by age: that of an item, or of a walk that goes along the items.
struct age_link {
    struct list node;
    bool is_walker;
};

struct item {
    struct age_link age;    // store->by_age; after `drop`, the list of items to be freed
    struct map_entry entry; // store->items
    struct due expiry;      // shared->expiries
    struct shared_store *store;
    struct kept value;
    char key[];
};

/// One call of `shared_replace`, between its tries.
struct replacing {
    const struct shared_write *write;
    const struct shared_value *old;
    struct kept kept;         // the new value; after a try that succeeded, the old one
    struct shared_text *seen; // held; its bytes were found to be those of `old`
    bool is_removal;
    bool is_swept;
};

enum {
    // What counts as used: the struct, what the allocator adds to it, and the slots that it has
    // in the map, the heap and the list.
    ITEM_BYTES = sizeof(struct item) + 48,
    TEXT_BYTES = sizeof(struct shared_text) + 16,
    STORE_BYTES = sizeof(struct shared_store) + 200,
    SWEEP_COUNT = 4, // expired items that one call removes, at most
    WALK_COUNT = 32, // items that a walk passes before it gives the lock back
    WALK_BYTES = WALK_COUNT * (KEY_PREFIX_BYTES + SHARED_KEY_BYTES_MAX),
};

static_assert(SHARED_KEY_BYTES_MAX <= UINT16_MAX, "so that it fits");
static_assert(WALK_COUNT * (KEY_PREFIX_BYTES + SHARED_KEY_BYTES_MAX) <= WALK_BYTES,
              "the keys of one step of a walk fit");
static_assert(SWEEP_COUNT > 0, "a write that finds no room makes some");

static struct shared_store *make_store(struct shared *shared, struct bytes name);
static void free_store_if_idle(struct shared_store *store);
static void enter(struct shared *shared, uint64_t now_ms, struct list *dropped);
static bool leave(struct shared *shared, struct list *dropped);
static bool is_full(int result);
static int copy_value(const struct shared_write *write, const struct shared_value *value,
                      struct kept *copy);
static void drop(struct item *item, struct list *dropped);
static bool has_expired(const struct item *item);
static struct item *find(const struct shared_store *store, struct bytes key, struct list *dropped);
static int write_value(struct shared_store *store, const struct shared_write *write,
                       const struct shared_value *value, bool is_add);
static int try_to_replace(struct shared_store *store, struct replacing *replacing);
static int add_step(struct shared_store *store, const struct shared_write *write,
                    const struct shared_step *step, struct kept *sum, struct list *dropped);
static int place_value(struct shared_store *store, const struct shared_write *write,
                       struct item **item, struct kept *value);
static int make_item(struct shared_store *store, struct bytes key, struct item **made);
static void set_ttl(struct item *item, uint64_t ttl_ms);
static uint64_t item_bytes(const struct shared_store *store, size_t key_len);
static uint64_t text_bytes(const struct kept *value);
static size_t walk(struct shared_store *store, struct age_link *walker, size_t max, char *keys,
                   size_t *len);

struct shared *shared_new(void)
{
    struct shared *shared = mem_new(struct shared);
    CHECK(pthread_mutex_init(&shared->lock, NULL) == 0);
    map_init(&shared->stores);
    list_init(&shared->store_list);
    due_heap_init(&shared->expiries);
    return shared;
}

void shared_free(struct shared *shared)
{
    struct list dropped;
    enter(shared, 0, &dropped);
    LIST_EACH (node, after, &shared->store_list) {
        struct shared_store *store = LIST_ITEM(node, struct shared_store, node);
        CHECK(store->hold_count == 0);
        // The store is freed with its last item, so its count is read once, before.
        for (size_t count = store->items.count; count > 0; count--) {
            drop(LIST_ITEM(store->by_age.next, struct item, age.node), &dropped);
        }
    }
    IGNORE(leave(shared, &dropped)); // no item is left, so none that has expired
    CHECK(shared->bytes == 0);
    due_heap_deinit(&shared->expiries);
    map_deinit(&shared->stores);
    CHECK(pthread_mutex_destroy(&shared->lock) == 0);
    mem_free(shared);
}

uint64_t shared_bytes(struct shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    uint64_t bytes = shared->bytes;
    pthread_mutex_unlock(&shared->lock);
    return bytes;
}

struct shared_store *shared_hold(struct shared *shared, struct bytes name)
{
    pthread_mutex_lock(&shared->lock);
    DCHECK(name.len > 0 && name.len <= SHARED_NAME_BYTES_MAX);
    struct map_entry *entry = map_find(&shared->stores, name);
    struct shared_store *store =
        entry == NULL ? make_store(shared, name) : CONTAINER_OF(entry, struct shared_store, entry);
    store->hold_count++;
    pthread_mutex_unlock(&shared->lock);
    return store;
}

void shared_release(struct shared_store *store)
{
    struct shared *shared = store->shared;
    pthread_mutex_lock(&shared->lock);
    DCHECK(store->hold_count > 0);
    store->hold_count--;
    free_store_if_idle(store);
    pthread_mutex_unlock(&shared->lock);
}

void shared_limit(struct shared_store *store, uint64_t bytes_max)
{
    pthread_mutex_lock(&store->shared->lock);
    store->bytes_max = bytes_max;
    pthread_mutex_unlock(&store->shared->lock);
}

uint64_t shared_limit_of(struct shared_store *store)
{
    pthread_mutex_lock(&store->shared->lock);
    uint64_t bytes_max = store->bytes_max;
    pthread_mutex_unlock(&store->shared->lock);
    return bytes_max;
}

bool shared_get(struct shared_store *store, struct bytes key, uint64_t now_ms,
                struct shared_value *value)
{
    struct list dropped;
    enter(store->shared, now_ms, &dropped);
    const struct item *item = find(store, key, &dropped);
    DCHECK(store->hold_count > 0);
    if (item != NULL) {
        *value = kept_show(&item->value);
        if (value->text != NULL) {
            shared_text_hold(value->text);
        }
    }
    IGNORE(leave(store->shared, &dropped)); // later calls remove the rest
    return item != NULL;
}

int shared_set(struct shared_store *store, const struct shared_write *write,
               const struct shared_value *value)
{
    return write_value(store, write, value, false);
}

int shared_add(struct shared_store *store, const struct shared_write *write,
               const struct shared_value *value)
{
    return write_value(store, write, value, true);
}

/// The bytes of strings are not compared under the lock. A first try holds the text that is there;
/// its bytes are compared without the lock. The next try finds either the same text, which never
/// changes and so needs no second comparison, or another one, and then it begins anew.
int shared_replace(struct shared_store *store, const struct shared_write *write,
                   const struct shared_value *old, const struct shared_value *value)
{
    struct replacing replacing = {.write = write, .old = old, .is_removal = value == NULL};
    int result;
    if (value != NULL) {
        result = copy_value(write, value, &replacing.kept);
        if (result != 0) {
            return result;
        }
    }
    do {
        result = try_to_replace(store, &replacing);
        if (result == -EAGAIN && !bytes_equal(shared_text_bytes(replacing.seen), old->string)) {
            result = -ESTALE;
        }
    } while (result == -EAGAIN || (is_full(result) && !replacing.is_swept));
    shared_text_release(replacing.seen);
    kept_release(&replacing.kept);
    return result;
}

int shared_incr(struct shared_store *store, const struct shared_write *write,
                const struct shared_step *step, struct shared_value *sum)
{
    int result;
    struct kept value = {0};
    bool is_swept;
    do {
        struct list dropped;
        enter(store->shared, write->now_ms, &dropped);
        result = add_step(store, write, step, &value, &dropped);
        is_swept = leave(store->shared, &dropped);
    } while (is_full(result) && !is_swept);
    if (result == 0) {
        *sum = kept_show(&value);
    }
    return result;
}

bool shared_remove(struct shared_store *store, struct bytes key, uint64_t now_ms)
{
    struct list dropped;
    enter(store->shared, now_ms, &dropped);
    struct item *item = find(store, key, &dropped);
    if (item != NULL) {
        drop(item, &dropped);
    }
    IGNORE(leave(store->shared, &dropped)); // later calls remove the rest
    return item != NULL;
}

size_t shared_count(struct shared_store *store, uint64_t now_ms)
{
    size_t count;
    bool is_swept;
    do {
        struct list dropped;
        enter(store->shared, now_ms, &dropped);
        count = store->items.count;
        is_swept = leave(store->shared, &dropped);
    } while (!is_swept);
    return count;
}

/// The walker is a link in the list of items. It stays where it is while items come and go, so the
/// walk goes on there after other threads had the lock.
int shared_keys(struct shared_store *store, uint64_t now_ms, size_t max, struct shared_text **keys)
{
    struct age_link walker = {.is_walker = true};
    struct buf all;
    struct list dropped;
    char *batch = mem_alloc(WALK_BYTES);
    buf_init(&all, SIZE_MAX / 2);
    list_init(&walker.node);
    bool is_walking = true;
    bool has_memory = true;
    while (is_walking) {
        size_t len = 0;
        enter(store->shared, now_ms, &dropped);
        max -= walk(store, &walker, max, batch, &len);
        is_walking = max > 0 && list_is_linked(&walker.node);
        if (!is_walking) {
            list_remove(&walker.node);
        }
        IGNORE(leave(store->shared, &dropped)); // the walk leaves out expired items anyway
        has_memory = has_memory && buf_append(&all, bytes_of(batch, len));
        max = has_memory ? max : 0; // the next step takes the walker out
    }
    int failure = has_memory ? shared_text_new(buf_bytes(&all), keys) : -ENOMEM;
    buf_reset(&all);
    mem_free(batch);
    return failure;
}

static struct shared_store *make_store(struct shared *shared, struct bytes name)
{
    struct shared_store *store = mem_zero(sizeof(struct shared_store) + name.len);
    memcpy(store->name, name.at, name.len);
    store->entry.key = bytes_of(store->name, name.len);
    store->shared = shared;
    store->bytes_max = UINT64_MAX;
    map_init(&store->items);
    list_init(&store->by_age);
    list_init(&store->node);
    list_append(&shared->store_list, &store->node);
    map_add(&shared->stores, &store->entry);
    return store;
}

static void free_store_if_idle(struct shared_store *store)
{
    if (store->hold_count > 0 || store->items.count > 0) {
        return;
    }
    DCHECK(store->bytes == 0);
    list_remove(&store->node);
    map_remove(&store->shared->stores, &store->entry);
    map_deinit(&store->items);
    mem_free(store);
}

/// Takes the lock, and a few expired items out of their stores, into `dropped`. `leave` frees them.
static void enter(struct shared *shared, uint64_t now_ms, struct list *dropped)
{
    list_init(dropped);
    pthread_mutex_lock(&shared->lock);
    if (now_ms > shared->now_ms) {
        shared->now_ms = now_ms;
    }
    for (int i = 0; i < SWEEP_COUNT; i++) {
        if (due_heap_first_ms(&shared->expiries) > shared->now_ms) {
            return;
        }
        drop(CONTAINER_OF(due_heap_first(&shared->expiries), struct item, expiry), dropped);
    }
}

/// Gives the lock back and frees the items in `dropped`. Returns whether no expired item was left.
static bool leave(struct shared *shared, struct list *dropped)
{
    bool is_swept = due_heap_first_ms(&shared->expiries) > shared->now_ms;
    pthread_mutex_unlock(&shared->lock);
    LIST_EACH (node, after, dropped) {
        struct item *item = LIST_ITEM(node, struct item, age.node);
        kept_release(&item->value);
        mem_free(item);
    }
    return is_swept;
}

/// Whether a write was refused for want of room. Removing expired items may make that room.
static bool is_full(int result)
{
    return result == -ENOBUFS || result == -EDQUOT || result == -ENOMEM;
}

/// Copies what is to be written, before the lock is taken. A string that is larger than all stores
/// may be is not copied to find that out.
static int copy_value(const struct shared_write *write, const struct shared_value *value,
                      struct kept *copy)
{
    bool is_too_large = value->type == SHARED_STRING && value->string.len > write->bytes_max;
    return is_too_large ? -ENOBUFS : kept_copy(value, copy);
}

/// Takes `item` out of its store and puts it into `dropped`. Frees the store when that was its last
/// item and nobody holds the store.
static void drop(struct item *item, struct list *dropped)
{
    struct shared_store *store = item->store;
    struct shared *shared = store->shared;
    map_remove(&store->items, &item->entry);
    due_heap_remove(&shared->expiries, &item->expiry);
    list_remove(&item->age.node);
    list_append(dropped, &item->age.node);
    uint64_t bytes = item_bytes(store, item->entry.key.len) + text_bytes(&item->value);
    DCHECK(bytes <= store->bytes && store->bytes <= shared->bytes);
    shared->bytes -= bytes;
    store->bytes -= bytes;
    free_store_if_idle(store);
}

static bool has_expired(const struct item *item)
{
    const struct shared *shared = item->store->shared;
    return due_heap_ms(&shared->expiries, &item->expiry) <= shared->now_ms;
}

static struct item *find(const struct shared_store *store, struct bytes key, struct list *dropped)
{
    struct map_entry *entry = map_find(&store->items, key);
    if (entry == NULL) {
        return NULL;
    }
    struct item *item = CONTAINER_OF(entry, struct item, entry);
    if (has_expired(item)) {
        drop(item, dropped);
        return NULL;
    }
    return item;
}

/// The string is copied before the lock is taken, and the value that it replaces is freed after the
/// lock is given back.
static int write_value(struct shared_store *store, const struct shared_write *write,
                       const struct shared_value *value, bool is_add)
{
    bool is_swept;
    struct kept kept;
    int result = copy_value(write, value, &kept);
    if (result != 0) {
        return result;
    }
    do {
        struct list dropped;
        enter(store->shared, write->now_ms, &dropped);
        struct item *item = find(store, write->key, &dropped);
        result = is_add && item != NULL ? -EEXIST : place_value(store, write, &item, &kept);
        if (result == 0) {
            set_ttl(item, write->ttl_ms);
        }
        is_swept = leave(store->shared, &dropped);
    } while (is_full(result) && !is_swept);
    kept_release(&kept);
    return result;
}

/// Returns -EAGAIN with a string in `seen` that is there now, and still has to be compared.
static int try_to_replace(struct shared_store *store, struct replacing *replacing)
{
    struct list dropped;
    struct shared_text *seen = replacing->seen;
    const struct shared_write *write = replacing->write;
    enter(store->shared, write->now_ms, &dropped);
    struct item *item = find(store, write->key, &dropped);
    int result = kept_match(item == NULL ? NULL : &item->value, replacing->old, seen);
    if (result == -EAGAIN) {
        DCHECK(item != NULL && item->value.text != seen);
        replacing->seen = item->value.text;
        shared_text_hold(replacing->seen);
    } else if (result == 0 && !replacing->is_removal) {
        result = place_value(store, write, &item, &replacing->kept);
        if (result == 0) {
            set_ttl(item, write->ttl_ms);
        }
    } else if (result == 0 && item != NULL) {
        drop(item, &dropped);
    }
    replacing->is_swept = leave(store->shared, &dropped);
    if (result == -EAGAIN) {
        shared_text_release(seen);
    }
    return result;
}

static int add_step(struct shared_store *store, const struct shared_write *write,
                    const struct shared_step *step, struct kept *sum, struct list *dropped)
{
    struct item *item = find(store, write->key, dropped);
    bool is_there = item != NULL;
    struct kept from = is_there ? item->value : kept_number(&step->init);
    int result = kept_add(&from, &step->by, sum);
    if (result != 0) {
        return result;
    }
    struct kept kept = *sum;
    result = place_value(store, write, &item, &kept);
    if (result == 0 && !is_there) {
        set_ttl(item, write->ttl_ms);
    }
    return result;
}

/// Swaps `value` and the value of `item`; makes the item if it is NULL. A value that is no larger
/// than the one before is let in even if the limit was lowered meanwhile and the store is over it.
static int place_value(struct shared_store *store, const struct shared_write *write,
                       struct item **item, struct kept *value)
{
    struct shared *shared = store->shared;
    uint64_t added = text_bytes(value);
    uint64_t removed = 0;
    if (*item == NULL) {
        added += item_bytes(store, write->key.len);
    } else {
        removed = text_bytes(&(*item)->value);
    }
    if (added > removed && shared->bytes - removed + added > write->bytes_max) {
        return -ENOBUFS;
    }
    if (added > removed && store->bytes - removed + added > store->bytes_max) {
        return -EDQUOT;
    }
    int failure = due_heap_reserve(&shared->expiries); // for `set_ttl`
    if (failure == 0 && *item == NULL) {
        failure = make_item(store, write->key, item);
    }
    if (failure != 0) {
        return failure;
    }
    DCHECK(removed <= store->bytes && store->bytes <= shared->bytes);
    shared->bytes = shared->bytes - removed + added;
    store->bytes = store->bytes - removed + added;
    struct kept old = (*item)->value;
    (*item)->value = *value;
    *value = old;
    return 0;
}

static int make_item(struct shared_store *store, struct bytes key, struct item **made)
{
    DCHECK(key.len > 0 && key.len <= SHARED_KEY_BYTES_MAX);
    struct item *item = mem_try_resize(NULL, sizeof(struct item) + key.len);
    if (item == NULL) {
        return -ENOMEM;
    }
    *item = (struct item){0};
    memcpy(item->key, key.at, key.len);
    item->entry.key = bytes_of(item->key, key.len);
    item->store = store;
    list_init(&item->age.node);
    list_append(&store->by_age, &item->age.node);
    map_add(&store->items, &item->entry);
    *made = item;
    return 0;
}

static void set_ttl(struct item *item, uint64_t ttl_ms)
{
    struct shared *shared = item->store->shared;
    if (ttl_ms == 0) {
        due_heap_remove(&shared->expiries, &item->expiry);
    } else {
        due_heap_put(&shared->expiries, &item->expiry, shared->now_ms + ttl_ms);
    }
}

/// What one more item with a key of this length takes, without its string. The first item counts
/// for the store as well, because an empty store goes as soon as nobody holds it.
static uint64_t item_bytes(const struct shared_store *store, size_t key_len)
{
    uint64_t bytes = ITEM_BYTES + key_len;
    return store->items.count == 0 ? bytes + STORE_BYTES + store->entry.key.len : bytes;
}

static uint64_t text_bytes(const struct kept *value)
{
    return value->type == SHARED_STRING ? TEXT_BYTES + value->text->len : 0;
}

/// Copies the keys of the next items, at most `max`, to `keys`, each with its length before it.
/// Moves the walker behind them, and out of the list when it has reached the end. Returns how many
/// keys it has copied. Under the lock.
static size_t walk(struct shared_store *store, struct age_link *walker, size_t max, char *keys,
                   size_t *len)
{
    bool has_begun = list_is_linked(&walker->node);
    struct list *node = has_begun ? walker->node.next : store->by_age.next;
    size_t count = 0;
    for (int i = 0; i < WALK_COUNT && count < max && node != &store->by_age; i++) {
        const struct age_link *link = LIST_ITEM(node, struct age_link, node);
        const struct item *item = LIST_ITEM(node, struct item, age.node);
        node = node->next;
        if (!link->is_walker && !has_expired(item)) {
            uint16_t key_len = (uint16_t)item->entry.key.len;
            DCHECK(*len + KEY_PREFIX_BYTES + key_len <= WALK_BYTES);
            memcpy(keys + *len, &key_len, KEY_PREFIX_BYTES);
            memcpy(keys + *len + KEY_PREFIX_BYTES, item->key, key_len);
            *len += KEY_PREFIX_BYTES + (size_t)key_len;
            count++;
        }
    }
    list_remove(&walker->node);
    if (node != &store->by_age) {
        list_append(node, &walker->node);
    }
    return count;
}
