// SPDX-License-Identifier: MIT
//
// curl does the talking, with three things taken out of its hands:
//
// - Names. While curl looks one up, a handle cannot be removed without waiting for the answer. So
//   names are looked up before (net/names.h), and curl is handed the addresses.
// - Time. Each state has one of the loop's timers. curl has its own for connecting alone: of a host
//   with several addresses each gets a part of the time, so it is set to more than all of it.
// - Sending again. When a connection that was kept had died, curl sends any request a second time,
//   also one that the server may have taken. `on_ready_to_send` counts, and lets that pass only
//   once, and only for a method that may be repeated (RFC 9110, section 9.2.2).
//
// The callbacks of curl (`on_ready_to_send`, `on_header`, `on_body`) note what has come, and end
// the request by returning a number that curl takes for a failure, after `failure` was set.
#include "upstream/transfer.h"

#include "base/environment.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/clock.h"
#include "upstream/curl_fields.h"
#include "upstream/curl_late.h"
#include "upstream/failure.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    STATUS_DIGITS = 3,
    STATUS_INTERIM = 100,
    STATUS_SWITCHING = 101,
    STATUS_FINAL = 200,
    TRIES_MAX = 2,
    STREAM_READ_BYTES = 4096, // each stream holds a buffer of so many; curl's own choice is 16 KiB
    NS_PER_MS = 1000 * 1000,
};

static_assert(TRANSFER_ERROR_BYTES == CURL_ERROR_SIZE, "what curl says fits");

static int prepare(struct transfer *transfer, const struct transfer_request *request);
static bool set_url(struct transfer *transfer, const char *url);
static bool is_idempotent(const char *method);
static int set_fields(struct transfer *transfer, struct bytes fields);
static void set_method(CURL *easy, const struct transfer_request *request);
static void set_callbacks(struct transfer *transfer);
static int begin(struct transfer *transfer);
static const struct upstream_address *next_hop(const struct transfer *transfer);
static void on_found(struct resolve *resolve, int failure);
static int connect_round(struct transfer *transfer);
static int connect_in_kit(struct transfer *transfer);
static int connect_now(struct transfer *transfer);
static int on_ready_to_send(void *transfer, char *, char *, int, int);
static size_t on_header(char *text, size_t size, size_t count, void *transfer);
static bool take_head_line(struct transfer *transfer, struct bytes line);
static bool is_interim(int status);
static int read_status(struct bytes line);
static size_t on_body(char *text, size_t size, size_t count, void *transfer);
static void on_news(struct multi_handle *handle);
static void on_done(struct multi_handle *handle, int result);
static bool is_refused_by_proxy(const struct transfer *transfer);
static void on_time_up(struct timer *timer);
static void fail(struct transfer *transfer, int failure, const char *what);
static void end(struct transfer *transfer);
static void leave(struct transfer *transfer);
static void admit(struct multi *multi);
static void enter(struct transfer *transfer, enum transfer_state state, uint64_t bound_ms);
static void arm(struct transfer *transfer, uint64_t bound_ms);

struct transfer *transfer_new(struct multi *multi, struct mailbox *mailbox,
                              const struct transfer_bounds *bounds)
{
    struct transfer *transfer = mem_new(struct transfer);
    OWNED(&multi->loop->owner);
    transfer->multi = multi_hold(multi);
    transfer->mailbox = mailbox;
    transfer->bounds = *bounds;
    transfer->resolve.on_found = on_found;
    transfer->resolve.is_public = multi->is_public;
    list_init(&transfer->node);
    list_init(&transfer->handle._node);
    timer_init(&transfer->timer, &multi->loop->timers, on_time_up);
    buf_init(&transfer->head, TRANSFER_HEAD_BYTES_MAX);
    buf_init(&transfer->body, bounds->body_bytes);
    transfer->_high_bytes = TRANSFER_HIGH_BYTES;
    DEBUG_CALL(transfer_check(transfer));
    return transfer;
}

int transfer_start(struct transfer *transfer, const struct transfer_request *request)
{
    OWNED(&transfer->multi->loop->owner);
    DCHECK(transfer->state == TRANSFER_NEW && transfer->on_end != NULL);
    if (transfer->is_stream) {
        buf_init(&transfer->body, SIZE_MAX); // it is bounded by pausing
    }
    const char *proxy = transfer->multi->settings[MULTI_PROXY];
    int failure = upstream_address_init(&transfer->address, request->url);
    if (failure == 0 && proxy != NULL) {
        failure = upstream_address_init(&transfer->proxy, proxy);
    }
    if (failure == 0) {
        failure = prepare(transfer, request);
    }
    if (failure == 0) {
        enter(transfer, TRANSFER_QUEUED, transfer->bounds.connect_ms);
        if (transfer->multi->open_count < transfer->multi->open_max) {
            failure = begin(transfer);
        } else {
            list_append(&transfer->multi->waiting, &transfer->node);
        }
    }
    if (failure != 0) {
        fail(transfer, failure, error_text(failure));
        leave(transfer);
        admit(transfer->multi);
    }
    DEBUG_CALL(transfer_check(transfer));
    return failure;
}

void transfer_free(struct transfer *transfer)
{
    struct multi *multi = transfer->multi;
    OWNED(&multi->loop->owner);
    transfer->on_end = NULL;
    leave(transfer);
    admit(multi);
    timer_deinit(&transfer->timer);
    libcurl.slist_free_all(transfer->_fields);
    libcurl.slist_free_all(transfer->_addresses);
    upstream_address_deinit(&transfer->address);
    upstream_address_deinit(&transfer->proxy);
    buf_reset(&transfer->head);
    buf_reset(&transfer->body);
    mem_free(transfer);
    multi_release(multi);
}

void transfer_resume(struct transfer *transfer)
{
    OWNED(&transfer->multi->loop->owner);
    DCHECK(transfer->is_stream);
    if (transfer->_is_paused && buf_len(&transfer->body) < transfer->_high_bytes) {
        transfer->_is_paused = false;
        arm(transfer, transfer->bounds.idle_ms);
        IGNORE(
            libcurl.easy_pause(transfer->handle.easy, CURLPAUSE_CONT)); // curl says it again later
    }
    DEBUG_CALL(transfer_check(transfer));
}

int transfer_want_more(struct transfer *transfer)
{
    size_t len = buf_len(&transfer->body);
    if (len >= transfer->bounds.body_bytes) {
        return -EMSGSIZE;
    }
    if (len >= transfer->_high_bytes) {
        transfer->_high_bytes = len * 2;
    }
    transfer_resume(transfer);
    return 0;
}

void transfer_check(const struct transfer *transfer)
{
    bool is_waiting = list_is_linked(&transfer->node);
    bool is_talking = transfer->state >= TRANSFER_CONNECTING && transfer->state < TRANSFER_ENDED;
    CHECK(transfer->multi != NULL && transfer->state <= TRANSFER_ENDED);
    CHECK(!is_waiting || (transfer->state == TRANSFER_QUEUED && !transfer->_is_open));
    CHECK(transfer->handle.is_added == is_talking);
    CHECK(transfer->_is_open == (is_talking || transfer->state == TRANSFER_NAMING));
    CHECK(timer_is_armed(&transfer->timer) ==
          (transfer->state > TRANSFER_NEW && transfer->state < TRANSFER_ENDED &&
           !transfer->_is_paused));
    CHECK(!transfer->_is_paused || (transfer->is_stream && transfer->state == TRANSFER_READING));
    CHECK(transfer->failure <= 0);
}

static int prepare(struct transfer *transfer, const struct transfer_request *request)
{
    int failure = multi_handle_init(&transfer->handle, transfer->multi);
    if (failure != 0) {
        return failure;
    }
    CURL *easy = transfer->handle.easy;
    transfer->_is_idempotent = is_idempotent(request->method);
    transfer->handle.on_news = on_news;
    transfer->handle.on_done = on_done;
    if (!set_url(transfer, request->url)) {
        return -ENOMEM;
    }
    set_method(easy, request);
    if (request->has_body || strcasecmp(request->method, "POST") == 0 ||
        strcasecmp(request->method, "PUT") == 0 || strcasecmp(request->method, "PATCH") == 0) {
        CURL_SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        if (CURL_SET(easy, CURLOPT_COPYPOSTFIELDS, request->body.at) != CURLE_OK) {
            return -ENOMEM;
        }
    }
    set_callbacks(transfer);
    return set_fields(transfer, request->fields);
}

/// Where no network is there is no TLS: "https" becomes "http".
static bool set_url(struct transfer *transfer, const char *url)
{
    char *plain = mem_string(bytes_from_string(url));
    if (environment_is_still(environment_here) && transfer->address.is_tls) {
        const char *rest = url + strlen("https");
        memcpy(plain + strlen("http"), rest, strlen(rest) + 1);
    }
    bool is_set = CURL_SET(transfer->handle.easy, CURLOPT_URL, plain) == CURLE_OK;
    mem_free(plain);
    return is_set;
}

static bool is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(method, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void set_method(CURL *easy, const struct transfer_request *request)
{
    if (strcmp(request->method, "HEAD") == 0) {
        CURL_SET(easy, CURLOPT_NOBODY, 1L);
    } else {
        CURL_SET(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static int set_fields(struct transfer *transfer, struct bytes fields)
{
    int failure = curl_fields_list(fields, &transfer->_fields);
    if (failure == 0) {
        CURL_SET(transfer->handle.easy, CURLOPT_HTTPHEADER, transfer->_fields);
    }
    return failure;
}

static void set_callbacks(struct transfer *transfer)
{
    CURL *easy = transfer->handle.easy;
    CURL_SET(easy, CURLOPT_ERRORBUFFER, transfer->_error);
    CURL_SET(easy, CURLOPT_PREREQFUNCTION, on_ready_to_send);
    CURL_SET(easy, CURLOPT_PREREQDATA, transfer);
    CURL_SET(easy, CURLOPT_HEADERFUNCTION, on_header);
    CURL_SET(easy, CURLOPT_HEADERDATA, transfer);
    CURL_SET(easy, CURLOPT_WRITEFUNCTION, on_body);
    CURL_SET(easy, CURLOPT_WRITEDATA, transfer);
    CURL_SET(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    CURL_SET(easy, CURLOPT_ACCEPT_ENCODING, "");
    if (transfer->is_stream) {
        CURL_SET(easy, CURLOPT_BUFFERSIZE, (long)STREAM_READ_BYTES);
    }
}

/// A connection is free for the request: it has its turn. Returns 0 or a negative number, and then
/// the caller ends the request.
static int begin(struct transfer *transfer)
{
    DCHECK(transfer->state == TRANSFER_QUEUED && !list_is_linked(&transfer->node));
    transfer->_is_open = true;
    transfer->multi->open_count++;
    transfer->state = TRANSFER_NAMING; // the timer goes on
    if (environment_is_still(environment_here)) {
        return connect_in_kit(transfer);
    }
    const struct upstream_address *next = next_hop(transfer);
    if (next->is_direct || transfer->multi->settings[MULTI_UNIX] != NULL) {
        return connect_now(transfer);
    }
    return resolve_start(&transfer->resolve, transfer->mailbox, next->host);
}

/// What is connected to. A proxy looks the names of servers up by itself.
static const struct upstream_address *next_hop(const struct transfer *transfer)
{
    return transfer->proxy.host != NULL ? &transfer->proxy : &transfer->address;
}

static void on_found(struct resolve *resolve, int failure)
{
    struct transfer *transfer = CONTAINER_OF(resolve, struct transfer, resolve);
    DCHECK(transfer->state == TRANSFER_NAMING);
    if (failure == 0) {
        failure = connect_round(transfer);
    }
    if (failure != 0) {
        fail(transfer, failure, error_text(failure));
        end(transfer);
    }
}

/// Begins to connect to the next addresses. While there are more, these get half of the time.
static int connect_round(struct transfer *transfer)
{
    struct buf entry;
    buf_init(&entry, SIZE_MAX);
    const struct upstream_address *next = next_hop(transfer);
    int failure = resolve_take_round(&transfer->resolve, next->host, next->port, &entry);
    libcurl.slist_free_all(transfer->_addresses);
    transfer->_addresses = failure == 0 ? libcurl.slist_append(NULL, buf_bytes(&entry).at) : NULL;
    buf_reset(&entry);
    if (transfer->_addresses == NULL) {
        return -ENOMEM;
    }
    CURL_SET(transfer->handle.easy, CURLOPT_RESOLVE, transfer->_addresses);
    return connect_now(transfer);
}

/// Where no network is, whoever stands in for the host has a socket. It speaks no TLS.
static int connect_in_kit(struct transfer *transfer)
{
    const struct upstream_address *address = &transfer->address;
    const struct environment *here = environment_here;
    const char *name = NULL;
    if (transfer->multi->is_public && address->is_private) {
        return UPSTREAM_NOT_PUBLIC;
    }
    int failure = here->on_connect == NULL
                      ? UPSTREAM_IN_KIT
                      : here->on_connect(here->on_connect_arg, address->host, &name);
    DCHECK((failure == 0) == (name != NULL));
    failure = failure == 0 ? multi_handle_lead(&transfer->handle, name) : failure;
    return failure == 0 ? connect_now(transfer) : failure;
}

static int connect_now(struct transfer *transfer)
{
    uint64_t connect_ms = transfer->bounds.connect_ms;
    connect_ms = resolve_has_more(&transfer->resolve) ? connect_ms / 2 : connect_ms * 3 / 2;
    connect_ms = connect_ms > 0 && connect_ms < INT32_MAX ? connect_ms : INT32_MAX;
    CURL_SET(transfer->handle.easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    int failure = multi_add(transfer->multi, &transfer->handle);
    if (failure == 0) {
        transfer->state = TRANSFER_CONNECTING; // the timer goes on
        DEBUG_CALL(transfer_check(transfer));
    }
    return failure;
}

/// The connection stands, with TLS if there is any, and the request would be sent next.
static int on_ready_to_send(void *user, char *to, char *from, int to_port, int from_port)
{
    struct transfer *transfer = user;
    (void)to;
    (void)from;
    (void)to_port;
    (void)from_port;
    transfer->_try_count++;
    bool may_repeat = transfer->_is_idempotent && transfer->_try_count <= TRIES_MAX;
    if (transfer->_try_count > 1 && !may_repeat) {
        return CURL_PREREQFUNC_ABORT;
    }
    enter(transfer, TRANSFER_ASKING, transfer->bounds.first_byte_ms);
    return CURL_PREREQFUNC_OK;
}

/// Gets one line of a head at a time, and the trailer's behind the body.
static size_t on_header(char *text, size_t size, size_t count, void *user)
{
    struct transfer *transfer = user;
    size_t len = size * count;
    bool is_taken = transfer->state == TRANSFER_READING || // the trailer: nobody asks for it
                    take_head_line(transfer, bytes_of(text, len));
    return is_taken ? len : len - 1;
}

/// Each answer begins with a status line, an interim one too, and ends with an empty line.
static bool take_head_line(struct transfer *transfer, struct bytes line)
{
    if (bytes_starts_with(line, BYTES("HTTP/"))) {
        buf_clear(&transfer->head);
        transfer->status = read_status(line);
    }
    if (!buf_append(&transfer->head, line)) {
        fail(transfer, -EPROTO, "the head of the answer is larger than 64 KiB");
        return false;
    }
    bool is_end = bytes_equal(line, BYTES("\r\n")) || bytes_equal(line, BYTES("\n"));
    if (is_end && transfer->status == STATUS_SWITCHING) {
        fail(transfer, -EPROTO, "the server changed to a protocol that nobody asked for");
        return false;
    }
    if (is_end && !is_interim(transfer->status)) {
        enter(transfer, TRANSFER_READING, transfer->bounds.idle_ms);
        multi_handle_note(&transfer->handle, transfer->multi);
    }
    return true;
}

static bool is_interim(int status)
{
    return status >= STATUS_INTERIM && status < STATUS_FINAL;
}

static int read_status(struct bytes line)
{
    const char *space = memchr(line.at, ' ', line.len);
    struct bytes digits =
        space == NULL ? BYTES("") : bytes_skip(line, (size_t)(space - line.at) + 1);
    int status = 0;
    for (size_t i = 0; i < STATUS_DIGITS && i < digits.len; i++) {
        char digit = digits.at[i];
        status = digit >= '0' && digit <= '9' ? status * 10 + (digit - '0') : status;
    }
    return status;
}

static size_t on_body(char *text, size_t size, size_t count, void *user)
{
    struct transfer *transfer = user;
    size_t len = size * count;
    if (transfer->state != TRANSFER_READING) {
        fail(transfer, -EPROTO, "the server sent a body without a head");
        return 0;
    }
    if (transfer->is_stream && buf_len(&transfer->body) >= transfer->_high_bytes) {
        transfer->_is_paused = true;
        timer_disarm(&transfer->timer); // it is the reader who is silent
        return CURL_WRITEFUNC_PAUSE;
    }
    if (!buf_append(&transfer->body, bytes_of(text, len))) {
        fail(transfer, -EMSGSIZE, "the body of the answer is larger than body_bytes");
        return 0;
    }
    arm(transfer, transfer->bounds.idle_ms);
    multi_handle_note(&transfer->handle, transfer->multi);
    return len;
}

static void on_news(struct multi_handle *handle)
{
    struct transfer *transfer = CONTAINER_OF(handle, struct transfer, handle);
    if (transfer->is_stream && transfer->on_news != NULL) {
        transfer->on_news(transfer);
    }
}

/// Tries the next addresses when none of these could be reached. Of a failure it says first what we
/// ourselves, then what the system says, then what curl says.
static void on_done(struct multi_handle *handle, int result)
{
    struct transfer *transfer = CONTAINER_OF(handle, struct transfer, handle);
    bool is_unreached = result == CURLE_COULDNT_CONNECT || result == CURLE_OPERATION_TIMEDOUT;
    if (is_unreached && transfer->state == TRANSFER_CONNECTING && transfer->failure == 0 &&
        resolve_has_more(&transfer->resolve)) {
        multi_remove(transfer->multi, handle);
        transfer->state = TRANSFER_NAMING;
        on_found(&transfer->resolve, 0);
        return;
    }
    if (result == CURLE_COULDNT_CONNECT && handle->is_refused) {
        fail(transfer, UPSTREAM_NOT_PUBLIC, error_text(UPSTREAM_NOT_PUBLIC));
    } else if (result != CURLE_OK && transfer->failure == 0) {
        long os_error = 0;
        libcurl.easy_getinfo(handle->easy, CURLINFO_OS_ERRNO, &os_error);
        int failure =
            is_refused_by_proxy(transfer) ? UPSTREAM_PROXY : upstream_failure_of(result, os_error);
        bool is_curls = failure == -EPROTO || failure == UPSTREAM_TLS ||
                        failure == UPSTREAM_CERTIFICATE || failure == UPSTREAM_PROXY;
        const char *said = transfer->_error;
        if (failure == -ECONNRESET) {
            said = transfer->state == TRANSFER_READING
                       ? "the server closed the connection in the middle of its answer"
                       : "the server closed the connection without an answer";
        } else if (!is_curls || *said == '\0') {
            said = error_text(failure);
        }
        fail(transfer, failure, said);
    } else if (transfer->state != TRANSFER_READING) {
        fail(transfer, -EPROTO, "the server sent no head");
    }
    end(transfer);
}

/// The proxy has answered CONNECT with something else than a tunnel.
static bool is_refused_by_proxy(const struct transfer *transfer)
{
    long status = 0;
    libcurl.easy_getinfo(transfer->handle.easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return transfer->state == TRANSFER_CONNECTING && status >= STATUS_FINAL + 100;
}

static void on_time_up(struct timer *timer)
{
    struct transfer *transfer = CONTAINER_OF(timer, struct transfer, timer);
    static const char *const whats[] = {
        [TRANSFER_QUEUED] = "all connections of this client were in use for %g s",
        [TRANSFER_NAMING] = "the name was not looked up within %g s",
        [TRANSFER_CONNECTING] = "no connection within %g s",
        [TRANSFER_ASKING] = "no answer within %g s",
        [TRANSFER_READING] = "nothing more of the answer came for %g s",
    };
    char what[TRANSFER_WHY_BYTES / 2];
    uint64_t bound_ms = transfer->state == TRANSFER_ASKING    ? transfer->bounds.first_byte_ms
                        : transfer->state == TRANSFER_READING ? transfer->bounds.idle_ms
                                                              : transfer->bounds.connect_ms;
    DCHECK(transfer->state > TRANSFER_NEW && transfer->state < TRANSFER_ENDED);
    snprintf(what, sizeof(what), whats[transfer->state], (double)bound_ms / 1000);
    fail(transfer, -ETIMEDOUT, what);
    end(transfer);
}

/// Notes why; the first reason stays. The text names the server.
static void fail(struct transfer *transfer, int failure, const char *what)
{
    const struct upstream_address *address = &transfer->address;
    DCHECK(failure < 0);
    if (transfer->failure != 0) {
        return;
    }
    transfer->failure = failure;
    if (address->host == NULL) {
        snprintf(transfer->why, sizeof(transfer->why), "%s", what);
        return;
    }
    bool is_6 = strchr(address->host, ':') != NULL;
    const char *unix_path = transfer->multi->settings[MULTI_UNIX];
    const char *proxy = transfer->multi->settings[MULTI_PROXY];
    const char *by = unix_path != NULL ? unix_path : proxy != NULL ? proxy : "";
    const char *how = unix_path != NULL ? " at unix:" : proxy != NULL ? " by " : "";
    snprintf(transfer->why, sizeof(transfer->why),
             is_6 ? "[%.255s]:%u%s%.107s: %s" : "%.255s:%u%s%.107s: %s", address->host,
             address->port, how, by, what);
}

/// It has ended by itself. May free the transfer.
static void end(struct transfer *transfer)
{
    struct multi *multi = multi_hold(transfer->multi);
    DCHECK(transfer->on_end != NULL);
    leave(transfer);
    transfer->on_end(transfer);
    admit(multi);
    multi_release(multi);
}

/// Leaves everything. What it has of a connection is free for the next request.
static void leave(struct transfer *transfer)
{
    transfer->state = TRANSFER_ENDED;
    transfer->_is_paused = false;
    timer_disarm(&transfer->timer);
    list_remove(&transfer->node);
    resolve_stop(&transfer->resolve);
    multi_handle_deinit(&transfer->handle, transfer->multi);
    if (transfer->_is_open) {
        DCHECK(transfer->multi->open_count > 0);
        transfer->_is_open = false;
        transfer->multi->open_count--;
    }
}

/// Has those begin that wait, as far as connections are free. The multi is held by the caller.
static void admit(struct multi *multi)
{
    while (multi->open_count < multi->open_max && !list_is_empty(&multi->waiting)) {
        struct transfer *next = LIST_ITEM(multi->waiting.next, struct transfer, node);
        list_remove(&next->node);
        int failure = begin(next);
        if (failure != 0) {
            fail(next, failure, error_text(failure));
            leave(next);
            next->on_end(next);
        }
    }
}

static void enter(struct transfer *transfer, enum transfer_state state, uint64_t bound_ms)
{
    transfer->state = (uint8_t)state;
    arm(transfer, bound_ms);
}

/// The loop's own time stands still while a script runs, so a wait is counted by the clock. No
/// bound is near the end of time: see the binding.
static void arm(struct transfer *transfer, uint64_t bound_ms)
{
    timer_arm_at(&transfer->timer, clock_ns() / NS_PER_MS + bound_ms);
}
