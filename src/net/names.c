// SPDX-License-Identifier: MIT
//
// The life of a lookup, under one lock for the whole process:
//
//     QUEUED --a thread is free--> RUNNING --getaddrinfo returns--> POSTED --the loop runs it-->
//     freed
//       |                            |                                |
//       +-cancelled: freed           +-cancelled: its thread frees it +-cancelled: freed unheard
//
// REFUSED is a lookup that found its mailbox closed. It waits for the cancel of its query, which
// comes before the loop is gone.
#include "net/names.h"

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/mailbox.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum {
    THREADS_MAX = 32,         // lookups at a time, of the whole process
    IDLE_SECONDS = 10,        // after which a thread without work ends
    STACK_BYTES = 256 * 1024, // of a thread; resolver modules of the system run on it
};

enum lookup_state { LOOKUP_QUEUED, LOOKUP_RUNNING, LOOKUP_POSTED, LOOKUP_REFUSED };

struct lookup {
    struct mailbox_message message;
    struct list node; // in `queue`
    struct mailbox *mailbox;
    struct name_query *query; // NULL: cancelled
    char *host;
    uint8_t state; // enum lookup_state
    int failure;
    size_t count;
    struct socket_address addresses[NAME_ADDRESSES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_work = PTHREAD_COND_INITIALIZER;
static struct list queue = {&queue, &queue};
static unsigned thread_count;
static unsigned idle_count;

static int provide_thread(void);
static int start_thread(void);
static void *run(void *unused);
static struct lookup *await_work(void);
static void find(struct lookup *lookup);
static void keep(struct lookup *lookup, const struct addrinfo *found);
static int failure_of(int result);
static void hand_back(struct lookup *lookup);
static void on_message(struct mailbox_message *message);
static void lookup_free(struct lookup *lookup);

int name_query_start(struct name_query *query, struct mailbox *mailbox, const char *host)
{
    DCHECK(query->_lookup == NULL && query->on_answer != NULL);
    struct lookup *lookup = mem_new(struct lookup);
    lookup->message.run = on_message;
    lookup->mailbox = mailbox;
    lookup->query = query;
    lookup->host = mem_string(bytes_from_string(host));
    list_init(&lookup->node);
    pthread_mutex_lock(&lock);
    int failure = provide_thread();
    if (failure == 0) {
        list_append(&queue, &lookup->node);
        pthread_cond_signal(&has_work);
    }
    pthread_mutex_unlock(&lock);
    if (failure != 0) {
        lookup_free(lookup);
        return failure;
    }
    query->_lookup = lookup;
    return 0;
}

void name_query_cancel(struct name_query *query)
{
    struct lookup *lookup = query->_lookup;
    if (lookup == NULL) {
        return;
    }
    query->_lookup = NULL;
    pthread_mutex_lock(&lock);
    DCHECK(lookup->query == query);
    lookup->query = NULL;
    bool is_ours = lookup->state == LOOKUP_QUEUED || lookup->state == LOOKUP_REFUSED;
    list_remove(&lookup->node);
    pthread_mutex_unlock(&lock);
    if (is_ours) {
        lookup_free(lookup);
    }
}

/// Makes sure that some thread will take one more lookup. More lookups than threads wait for one
/// that becomes free.
static int provide_thread(void)
{
    size_t queued_count = 0;
    LIST_EACH (node, after, &queue) {
        queued_count++;
        if (queued_count >= idle_count) {
            break;
        }
    }
    if (idle_count > queued_count || thread_count == THREADS_MAX) {
        return 0;
    }
    int failure = start_thread();
    return thread_count > 0 ? 0 : failure;
}

/// The thread gets no signals: those are for the threads that have loops.
static int start_thread(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = -pthread_create(&thread, &attributes, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    thread_count += failure == 0 ? 1 : 0;
    return failure;
}

static void *run(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (struct lookup *lookup = await_work(); lookup != NULL; lookup = await_work()) {
        lookup->state = LOOKUP_RUNNING;
        pthread_mutex_unlock(&lock);
        find(lookup);
        pthread_mutex_lock(&lock);
        hand_back(lookup);
    }
    thread_count--;
    pthread_mutex_unlock(&lock);
    return NULL;
}

/// The next lookup; NULL when none came for a while. Called, and returns, with the lock.
static struct lookup *await_work(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += IDLE_SECONDS;
    bool is_late = false;
    idle_count++;
    while (list_is_empty(&queue) && !is_late) {
        is_late = pthread_cond_timedwait(&has_work, &lock, &until) == ETIMEDOUT;
    }
    idle_count--;
    if (list_is_empty(&queue)) {
        return NULL;
    }
    struct lookup *lookup = LIST_ITEM(queue.next, struct lookup, node);
    DCHECK(lookup->state == LOOKUP_QUEUED && lookup->query != NULL);
    list_remove(&lookup->node);
    return lookup;
}

static void find(struct lookup *lookup)
{
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int result = getaddrinfo(lookup->host, NULL, &wanted, &found);
    lookup->failure = result == 0 ? 0 : failure_of(result);
    if (result == 0) {
        keep(lookup, found);
        freeaddrinfo(found);
    }
}

static void keep(struct lookup *lookup, const struct addrinfo *found)
{
    for (; found != NULL && lookup->count < NAME_ADDRESSES_MAX; found = found->ai_next) {
        struct socket_address *address = &lookup->addresses[lookup->count];
        if (found->ai_family == AF_INET || found->ai_family == AF_INET6) {
            DCHECK(found->ai_addrlen <= sizeof(address->storage));
            memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
            address->len = found->ai_addrlen;
            lookup->count++;
        }
    }
    lookup->failure = lookup->count > 0 ? 0 : UPSTREAM_NO_NAME;
}

static int failure_of(int result)
{
    switch (result) {
    case EAI_AGAIN:
        return UPSTREAM_NAME_AGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return errno == EMFILE || errno == ENFILE ? -errno : UPSTREAM_NAME_AGAIN;
    default:
        return UPSTREAM_NO_NAME;
    }
}

/// Called with the lock, so that a query which is cancelled meanwhile finds the lookup in one state
/// or the other. A lookup that is posted belongs to the loop.
static void hand_back(struct lookup *lookup)
{
    if (lookup->query == NULL) {
        lookup_free(lookup);
        return;
    }
    lookup->state = LOOKUP_POSTED;
    if (!mailbox_post(lookup->mailbox, &lookup->message)) {
        lookup->state = LOOKUP_REFUSED;
    }
}

static void on_message(struct mailbox_message *message)
{
    struct lookup *lookup = CONTAINER_OF(message, struct lookup, message);
    struct name_query *query = lookup->query;
    DCHECK(lookup->state == LOOKUP_POSTED);
    if (query != NULL) {
        query->_lookup = NULL;
        query->on_answer(query, lookup->failure, lookup->addresses, lookup->count);
    }
    lookup_free(lookup);
}

static void lookup_free(struct lookup *lookup)
{
    mem_free(lookup->host);
    mem_free(lookup);
}
