// SPDX-License-Identifier: MIT
//
// A socket of curl's is watched by a descriptor of our own, a copy (`struct watch`), from when curl
// first wants to hear of it until it says that it does not. So the poller closes what it watches by
// itself, as it always does, whether curl closes the socket before that or after it: this curl
// closes one that is still connecting without telling anybody. A connection that is kept for the
// next request is not watched; curl finds out that its peer has hung up when it wants to use it.
//
// When curl closes a socket and makes another with the same number before it looks at what it has
// told, it takes the second for the first and says nothing. `on_open_socket` therefore gives no
// number that is still watched.
//
// Every connection, also one to an address that stands in the URL in whatever spelling, begins with
// `on_open_socket`: there a multi for public addresses refuses all others.
//
// The timer of curl fires `drive`. A time of 0 is a job for the end of the turn. curl goes by the
// machine's clock and the loop by its own, which specs move and slow down. So when the timer fires,
// curl may find that it is too early, and then it does not ask for the timer again, since it has
// asked for that moment before: `drive_timer` asks for what is left.
#include "upstream/multi.h"

#include "base/mem.h"
#include "net/poller.h"
#include "upstream/address.h"
#include "upstream/curl_late.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    NAMES_KEPT_SECONDS = 24 * 60 * 60, // longer than any request that may ask for them again
    WATCHES_MIN = 16,
};

/// What watches a socket of curl's.
struct watch {
    struct polled polled; // with a copy of the descriptor
    struct multi *multi;
    int fd; // the descriptor, which is curl's
};

static int make_curl(struct multi *multi);
static void set_common(struct multi_handle *handle, struct multi *multi);
static curl_socket_t on_open_socket(void *handle, curlsocktype purpose,
                                    struct curl_sockaddr *address);
static struct watch **place_of(struct multi *multi, int fd);
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *multi, void *unused);
static struct watch *watch_new(struct multi *multi, int fd);
static void watch_free(struct polled *polled);
static void on_ready(struct polled *polled, unsigned events);
static int on_timeout(CURLM *curl, long timeout_ms, void *multi);
static void on_timer(struct timer *timer);
static void on_job(struct loop_job *job);
static void drive_timer(struct multi *multi);
static void drive(struct multi *multi, curl_socket_t fd, int events);
static void tell(struct multi *multi);

struct multi *multi_new(struct loop *loop, size_t open_max)
{
    struct multi *multi = mem_new(struct multi);
    OWNED(&loop->owner);
    DCHECK(open_max > 0);
    DCHECK(libcurl.multi_init != NULL); // curl_late_load was called
    multi->loop = loop;
    multi->open_max = open_max;
    multi->_hold_count = 1;
    list_init(&multi->waiting);
    list_init(&multi->_news);
    timer_init(&multi->_timer, &loop->timers, on_timer);
    loop_job_init(&multi->_job, on_job);
    return multi;
}

struct multi *multi_hold(struct multi *multi)
{
    DCHECK(multi->_hold_count > 0);
    multi->_hold_count++;
    return multi;
}

/// curl closes its connections first, and may call `on_socket` meanwhile. Watches are freed at the
/// end of the turn, and need no multi for that.
void multi_release(struct multi *multi)
{
    OWNED(&multi->loop->owner);
    DCHECK(multi->_hold_count > 0 && !multi->_is_driving);
    if (--multi->_hold_count > 0) {
        return;
    }
    DCHECK(list_is_empty(&multi->waiting) && list_is_empty(&multi->_news));
    DCHECK(multi->open_count == 0);
    if (multi->_curl != NULL) {
        CHECK(libcurl.multi_cleanup(multi->_curl) == CURLM_OK);
    }
    timer_deinit(&multi->_timer);
    loop_job_cancel(&multi->_job);
    mem_free(multi->_watches);
    for (size_t i = 0; i < MULTI_SETTING_COUNT; i++) {
        mem_free(multi->settings[i]);
    }
    mem_free(multi);
}

int multi_handle_init(struct multi_handle *handle, struct multi *multi)
{
    OWNED(&multi->loop->owner);
    *handle = (struct multi_handle){._multi = multi};
    list_init(&handle->_node);
    int failure = multi->_curl == NULL ? make_curl(multi) : 0;
    if (failure != 0) {
        return failure;
    }
    handle->easy = libcurl.easy_init();
    if (handle->easy == NULL) {
        return -ENOMEM;
    }
    set_common(handle, multi);
    return 0;
}

void multi_handle_deinit(struct multi_handle *handle, struct multi *multi)
{
    multi_remove(multi, handle);
    libcurl.easy_cleanup(handle->easy);
    handle->easy = NULL;
}

int multi_handle_lead(struct multi_handle *handle, const char *name)
{
    DCHECK(!handle->is_added && !handle->is_in_kit);
    handle->is_in_kit = true;
    CURL_SET(handle->easy, CURLOPT_PROXY, "");
    CURL_SET(handle->easy, CURLOPT_FRESH_CONNECT, 1L);
    CURL_SET(handle->easy, CURLOPT_FORBID_REUSE, 1L);
    CURLcode code = CURL_SET(handle->easy, CURLOPT_ABSTRACT_UNIX_SOCKET, name);
    return code == CURLE_OK ? 0 : -ENOMEM;
}

int multi_add(struct multi *multi, struct multi_handle *handle)
{
    OWNED(&multi->loop->owner);
    DCHECK(!handle->is_added && handle->on_done != NULL && handle->on_news != NULL);
    if (libcurl.multi_add_handle(multi->_curl, handle->easy) != CURLM_OK) {
        return -ENOMEM;
    }
    handle->is_added = true;
    return 0;
}

void multi_remove(struct multi *multi, struct multi_handle *handle)
{
    OWNED(&multi->loop->owner);
    DCHECK(!multi->_is_driving);
    list_remove(&handle->_node);
    if (handle->is_added) {
        handle->is_added = false;
        CHECK(libcurl.multi_remove_handle(multi->_curl, handle->easy) == CURLM_OK);
    }
}

void multi_handle_note(struct multi_handle *handle, struct multi *multi)
{
    DCHECK(handle->is_added);
    if (!list_is_linked(&handle->_node)) {
        list_append(&multi->_news, &handle->_node);
        if (!multi->_is_driving) {
            loop_at_turn_end(multi->loop, LOOP_RUN, &multi->_job);
        }
    }
}

static int make_curl(struct multi *multi)
{
    CURLM *curl = libcurl.multi_init();
    if (curl == NULL) {
        return -ENOMEM;
    }
    multi->_curl = curl;
    CURLM_SET(curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    CURLM_SET(curl, CURLMOPT_SOCKETDATA, multi);
    CURLM_SET(curl, CURLMOPT_TIMERFUNCTION, on_timeout);
    CURLM_SET(curl, CURLMOPT_TIMERDATA, multi);
    CURLM_SET(curl, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    CURLM_SET(curl, CURLMOPT_MAXCONNECTS, (long)multi->open_max);
    return 0;
}

/// HTTP/1.1 only: a stream of HTTP/2 cannot be paused with this curl. Nothing is taken from the
/// environment of the process or from files of its user. The system's certificates come from one
/// file: with a folder beside it, which has the same, curl would read all of them again for each
/// connection.
static void set_common(struct multi_handle *handle, struct multi *multi)
{
    CURL *easy = handle->easy;
    CURL_SET(easy, CURLOPT_PRIVATE, handle);
    CURL_SET(easy, CURLOPT_NOSIGNAL, 1L);
    CURL_SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    CURL_SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    CURL_SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    const char *proxy = multi->settings[MULTI_PROXY];
    CURL_SET(easy, CURLOPT_PROXY, proxy != NULL ? proxy : "");
    CURL_SET(easy, CURLOPT_NOPROXY, "");
    CURL_SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    CURL_SET(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)NAMES_KEPT_SECONDS);
    CURL_SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    CURL_SET(easy, CURLOPT_CAPATH, NULL);
    if (multi->settings[MULTI_CA] != NULL) {
        CURL_SET(easy, CURLOPT_CAINFO, multi->settings[MULTI_CA]);
    }
    CURL_SET(easy, CURLOPT_SSLCERT, multi->settings[MULTI_CERTIFICATE]);
    CURL_SET(easy, CURLOPT_SSLKEY, multi->settings[MULTI_KEY]);
    CURL_SET(easy, CURLOPT_UNIX_SOCKET_PATH, multi->settings[MULTI_UNIX]);
    CURL_SET(easy, CURLOPT_USERAGENT, "lunesse/" LUNESSE_VERSION);
    CURL_SET(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    CURL_SET(easy, CURLOPT_OPENSOCKETDATA, handle);
}

static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct multi_handle *handle = user;
    struct multi *multi = handle->_multi;
    (void)purpose;
    if (multi->is_public && !handle->is_in_kit && !upstream_address_is_public(&address->addr)) {
        handle->is_refused = true;
        return CURL_SOCKET_BAD;
    }
    int type = address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int fd = socket(address->family, type, address->protocol);
    if (fd < 0 || *place_of(multi, fd) == NULL) {
        return fd < 0 ? CURL_SOCKET_BAD : fd;
    }
    int other =
        fcntl(fd, F_DUPFD_CLOEXEC, (int)multi->_watch_room); // nothing is watched from there
    close(fd);
    return other < 0 ? CURL_SOCKET_BAD : other;
}

/// Where the watch of a socket stands. Makes room as far as it is needed.
static struct watch **place_of(struct multi *multi, int fd)
{
    DCHECK(fd >= 0);
    size_t index = (size_t)fd;
    if (index >= multi->_watch_room) {
        size_t room = index + index / 2 + WATCHES_MIN;
        multi->_watches = mem_resize(multi->_watches, room * sizeof(struct watch *));
        memset(multi->_watches + multi->_watch_room, 0,
               (room - multi->_watch_room) * sizeof(struct watch *));
        multi->_watch_room = room;
    }
    return &multi->_watches[index];
}

/// A socket that cannot be watched, since there is no descriptor or no memory, is left to the timer
/// of its request: any failure that were returned here would end all requests of the multi.
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *unused)
{
    struct multi *multi = user;
    struct watch **place = place_of(multi, fd);
    (void)easy;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        if (*place != NULL) {
            polled_close(&multi->loop->poller, &(*place)->polled);
            *place = NULL;
        }
        return 0;
    }
    if (*place == NULL) {
        *place = watch_new(multi, fd);
    }
    if (*place != NULL) {
        unsigned events = what & CURL_POLL_IN ? POLL_READ : 0;
        events |= what & CURL_POLL_OUT ? POLL_WRITE : 0;
        IGNORE(polled_want(&multi->loop->poller, &(*place)->polled, events)); // see above
    }
    return 0;
}

/// NULL when there is no descriptor left.
static struct watch *watch_new(struct multi *multi, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return NULL;
    }
    struct watch *watch = mem_new(struct watch);
    watch->multi = multi;
    watch->fd = fd;
    watch->polled.fd = copy;
    watch->polled.on_ready = on_ready;
    watch->polled.on_closed = watch_free;
    polled_open(&multi->loop->poller, &watch->polled);
    return watch;
}

static void watch_free(struct polled *polled)
{
    mem_free(CONTAINER_OF(polled, struct watch, polled));
}

static void on_ready(struct polled *polled, unsigned events)
{
    struct watch *ready = CONTAINER_OF(polled, struct watch, polled);
    int mask = (events & POLL_READ ? CURL_CSELECT_IN : 0) |
               (events & POLL_WRITE ? CURL_CSELECT_OUT : 0) |
               (events & POLL_FAILED ? CURL_CSELECT_ERR : 0);
    drive(ready->multi, ready->fd, mask);
}

/// -1: no time is wanted. Called by curl from within any of its functions.
static int on_timeout(CURLM *curl, long timeout_ms, void *user)
{
    struct multi *multi = user;
    (void)curl;
    if (timeout_ms == 0) {
        loop_at_turn_end(multi->loop, LOOP_RUN, &multi->_job);
    } else if (timeout_ms > 0) {
        timer_arm(&multi->_timer, (uint64_t)timeout_ms);
    } else {
        timer_disarm(&multi->_timer);
    }
    return 0;
}

static void on_timer(struct timer *timer)
{
    drive_timer(CONTAINER_OF(timer, struct multi, _timer));
}

static void on_job(struct loop_job *job)
{
    drive_timer(CONTAINER_OF(job, struct multi, _job));
}

static void drive_timer(struct multi *multi)
{
    long left_ms = -1;
    multi_hold(multi); // who is told may release it
    drive(multi, CURL_SOCKET_TIMEOUT, 0);
    if (!timer_is_armed(&multi->_timer) && !loop_job_is_queued(&multi->_job) &&
        libcurl.multi_timeout(multi->_curl, &left_ms) == CURLM_OK && left_ms >= 0) {
        timer_arm(&multi->_timer, left_ms > 0 ? (uint64_t)left_ms : 1);
    }
    multi_release(multi);
}

static void drive(struct multi *multi, curl_socket_t fd, int events)
{
    int running_count = 0;
    OWNED(&multi->loop->owner);
    DCHECK(!multi->_is_driving);
    multi_hold(multi); // who is told may release it
    multi->_is_driving = true;
    CURLMcode code = libcurl.multi_socket_action(multi->_curl, fd, events, &running_count);
    multi->_is_driving = false;
    DCHECK(code == CURLM_OK || code == CURLM_ABORTED_BY_CALLBACK);
    tell(multi);
    multi_release(multi);
}

/// Who is told may free the handle, and others.
static void tell(struct multi *multi)
{
    while (!list_is_empty(&multi->_news)) {
        struct multi_handle *handle = LIST_ITEM(multi->_news.next, struct multi_handle, _node);
        list_remove(&handle->_node);
        handle->on_news(handle);
    }
    int left_count = 0;
    CURLMsg *message = libcurl.multi_info_read(multi->_curl, &left_count);
    while (message != NULL) {
        struct multi_handle *handle = NULL;
        CURLcode result = message->data.result;
        DCHECK(message->msg == CURLMSG_DONE);
        CHECK(libcurl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &handle) == CURLE_OK);
        handle->on_done(handle, (int)result);
        message = libcurl.multi_info_read(multi->_curl, &left_count);
    }
}
