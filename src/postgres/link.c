// SPDX-License-Identifier: MIT
//
// The watch is made anew when libpq may have another socket, or another wish. libpq closes a socket
// and opens the next by itself, often with the same number, when the server has several addresses;
// so it is asked after each poll, and the number alone tells nothing.
#include "postgres/link.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/fd_watch.h"
#include "postgres/cancel.h"
#include "postgres/pq_late.h"

#include <errno.h>
#include <string.h>

static const char CODE_NOT_CONNECTED[] = "08001"; // of SQL: cannot be established
static const char CODE_LOST[] = "08006";          // of SQL: connection failure

static void on_found(struct settings *settings, int failure);
static void on_time_up(struct timer *timer);
static void end_unnamed(struct link *link, int failure);
static void connect_now(struct link *link);
static void go_on_connecting(struct link *link);
static void watch(struct link *link, unsigned events);
static void unwatch(struct link *link);
static void on_ready(struct fd_watch *watch, unsigned events);
static void talk(struct link *link);
static void take_results(struct link *link);
static void keep(struct link *link, PGresult *result);
static void take_notifications(struct link *link);
static void flush(struct link *link);
static void on_notice(void *user, const PGresult *notice);
static void end(struct link *link, const char *code, const char *why);
static void close_connection(struct link *link);

struct link *link_new(struct loop *loop)
{
    struct link *link = mem_new(struct link);
    link->_loop = loop;
    link->_settings.on_found = on_found;
    timer_init(&link->_timer, &loop->timers, on_time_up);
    return link;
}

void link_start(struct link *link, struct mailbox *mailbox, const char *url, uint64_t connect_ms)
{
    DCHECK(link->state == LINK_NEW && link->on_news != NULL);
    link->state = LINK_NAMING;
    timer_arm(&link->_timer, connect_ms);
    int failure = settings_start(&link->_settings, mailbox, url);
    if (failure != 0) {
        end_unnamed(link, failure);
    } else if (settings_is_ready(&link->_settings)) {
        connect_now(link);
    }
}

void link_ask(struct link *link, const struct link_query *query)
{
    DCHECK(link->state == LINK_IDLE);
    libpq.PQclear(link->result);
    link->result = NULL;
    int is_sent = libpq.PQsendQueryParams(link->_pq, query->sql, query->count, query->types,
                                          query->values, query->lens, query->formats, 0);
    if (is_sent == 0) {
        end(link, CODE_LOST, libpq.PQerrorMessage(link->_pq));
        return;
    }
    link->state = LINK_ASKING;
    flush(link);
}

/// While one is here, nothing is read: what a script has yet to take waits in the kernel, and then
/// at the server.
PGnotify *link_take_notification(struct link *link)
{
    DCHECK(link->state == LINK_IDLE && link->is_listening);
    take_notifications(link);
    PGnotify *taken = link->_notification;
    link->_notification = NULL;
    take_notifications(link);
    if (link->_watch == NULL && link->_notification == NULL) {
        watch(link, POLL_READ);
    }
    return taken;
}

bool link_is_free(struct link *link)
{
    if (link->state == LINK_IDLE) {
        talk(link);
    }
    return link->state == LINK_IDLE && libpq.PQtransactionStatus(link->_pq) == PQTRANS_IDLE;
}

void link_free(struct link *link)
{
    if (link->state == LINK_ASKING) {
        cancel_send(link->_pq);
    }
    close_connection(link);
    libpq.PQclear(link->result);
    timer_deinit(&link->_timer);
    mem_free(link->why);
    mem_free(link);
}

static void on_found(struct settings *settings, int failure)
{
    struct link *link = CONTAINER_OF(settings, struct link, _settings);
    DCHECK(link->state == LINK_NAMING);
    if (failure != 0) {
        end_unnamed(link, failure);
    } else {
        connect_now(link);
    }
    if (link->state == LINK_ENDED || link->state == LINK_IDLE) {
        link->on_news(link);
    }
}

static void on_time_up(struct timer *timer)
{
    struct link *link = CONTAINER_OF(timer, struct link, _timer);
    DCHECK(link->state == LINK_NAMING || link->state == LINK_CONNECTING);
    end(link, "ETIMEDOUT", "PostgreSQL did not let the connection in within connect_timeout");
    link->on_news(link);
}

static void end_unnamed(struct link *link, int failure)
{
    const char *code = failure == UPSTREAM_NO_NAME      ? "ENOTFOUND"
                       : failure == UPSTREAM_NAME_AGAIN ? "EAI_AGAIN"
                       : failure == -ENOMEM             ? "ENOMEM"
                                                        : "EAGAIN";
    DCHECK(failure < 0);
    end(link, code, error_text(failure));
}

static void connect_now(struct link *link)
{
    struct settings_lists lists;
    settings_list(&link->_settings, &lists);
    link->_pq = libpq.PQconnectStartParams(lists.keywords, lists.values, 0);
    settings_stop(&link->_settings);
    if (link->_pq == NULL) {
        end(link, "ENOMEM", "there is no memory for a connection");
    } else if (libpq.PQstatus(link->_pq) == CONNECTION_BAD) {
        end(link, CODE_NOT_CONNECTED, libpq.PQerrorMessage(link->_pq));
    } else {
        (void)libpq.PQsetNoticeReceiver(link->_pq, on_notice, NULL);
        link->state = LINK_CONNECTING;
        watch(link, POLL_WRITE);
    }
}

static void go_on_connecting(struct link *link)
{
    switch (libpq.PQconnectPoll(link->_pq)) {
    case PGRES_POLLING_READING:
        watch(link, POLL_READ);
        return;
    case PGRES_POLLING_WRITING:
        watch(link, POLL_WRITE);
        return;
    case PGRES_POLLING_OK:
        timer_disarm(&link->_timer);
        link->state = LINK_IDLE;
        CHECK(libpq.PQsetnonblocking(link->_pq, 1) == 0);
        watch(link, POLL_READ);
        return;
    default:
        end(link, CODE_NOT_CONNECTED, libpq.PQerrorMessage(link->_pq));
    }
}

/// Watches libpq's socket for `events`.
static void watch(struct link *link, unsigned events)
{
    unwatch(link);
    int failure =
        fd_watch_new(&link->_loop->poller, libpq.PQsocket(link->_pq), events, &link->_watch);
    if (failure != 0) {
        end(link, failure == -EMFILE || failure == -ENFILE ? "EMFILE" : CODE_LOST,
            error_text(failure));
        return;
    }
    link->_watched = events;
    link->_watch->on_ready = on_ready;
    link->_watch->user = link;
}

static void unwatch(struct link *link)
{
    if (link->_watch != NULL) {
        fd_watch_free(link->_watch);
        link->_watch = NULL;
    }
}

static void on_ready(struct fd_watch *ready, unsigned events)
{
    struct link *link = ready->user;
    DCHECK(link->_watch == ready && events != 0);
    bool was_asking = link->state == LINK_ASKING;
    bool was_idle = link->state == LINK_IDLE;
    if (link->state == LINK_CONNECTING) {
        go_on_connecting(link);
    } else {
        talk(link);
    }
    bool is_news = link->state == LINK_ENDED || link->_notification != NULL ||
                   (link->state == LINK_IDLE && !was_idle);
    DCHECK(!was_asking || link->state != LINK_CONNECTING);
    if (is_news) {
        link->on_news(link);
    }
}

/// Sends and reads what can be sent and read. A server that says why it closes the connection says
/// so before it does, also to a link that asks nothing.
static void talk(struct link *link)
{
    bool is_open = libpq.PQconsumeInput(link->_pq) == 1;
    if (link->state == LINK_ASKING) {
        take_results(link);
    } else {
        (void)libpq.PQisBusy(link->_pq); // parses what has come
    }
    if (link->state == LINK_ENDED) {
        return;
    }
    take_notifications(link);
    if (!is_open || libpq.PQstatus(link->_pq) == CONNECTION_BAD) {
        end(link, CODE_LOST, libpq.PQerrorMessage(link->_pq));
    } else if (link->_notification != NULL) {
        unwatch(link);
    } else {
        flush(link);
    }
}

static void take_results(struct link *link)
{
    while (link->state == LINK_ASKING && libpq.PQisBusy(link->_pq) == 0) {
        PGresult *result = libpq.PQgetResult(link->_pq);
        if (result != NULL) {
            keep(link, result);
        } else {
            link->state = LINK_IDLE;
        }
    }
}

/// Of several results the first failure counts: what a server says when it closes the connection
/// comes behind it.
static void keep(struct link *link, PGresult *result)
{
    ExecStatusType status = libpq.PQresultStatus(result);
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        libpq.PQclear(result);
        end(link, "0A000", "COPY has no rows: it is not possible in a query");
        return;
    }
    bool has_failed =
        link->result != NULL && libpq.PQresultStatus(link->result) == PGRES_FATAL_ERROR;
    if (has_failed) {
        libpq.PQclear(result);
        return;
    }
    libpq.PQclear(link->result);
    link->result = result;
}

/// Those behind the oldest stay with libpq. A link of queries may have them too, if a query said
/// `listen`; nobody wants those.
static void take_notifications(struct link *link)
{
    if (link->is_listening) {
        bool is_due = link->state == LINK_IDLE && link->_notification == NULL;
        link->_notification = is_due ? libpq.PQnotifies(link->_pq) : link->_notification;
        return;
    }
    PGnotify *unwanted;
    while ((unwanted = libpq.PQnotifies(link->_pq)) != NULL) {
        libpq.PQfreemem(unwanted);
    }
}

/// A failure to send is told with what is read next.
static void flush(struct link *link)
{
    unsigned wanted = libpq.PQflush(link->_pq) == 1 ? POLL_READ | POLL_WRITE : POLL_READ;
    if (wanted != link->_watched) {
        watch(link, wanted);
    }
}

static void on_notice(void *user, const PGresult *notice)
{
    (void)user;
    LOG(LOG_DEBUG, "notice of PostgreSQL", log_string("text", libpq.PQresultErrorMessage(notice)));
}

/// `why` may belong to the connection, and have several lines.
static void end(struct link *link, const char *code, const char *why)
{
    struct bytes text = bytes_from_string(why);
    while (text.len > 0 && text.at[text.len - 1] == '\n') {
        text.len--;
    }
    DCHECK(link->state != LINK_ENDED && link->why == NULL);
    link->why = mem_string(text.len > 0 ? text : BYTES("the connection is lost"));
    for (char *at = strpbrk(link->why, "\n\t"); at != NULL; at = strpbrk(at, "\n\t")) {
        *at = ' ';
    }
    link->code = code;
    close_connection(link);
    link->state = LINK_ENDED;
}

/// The watch goes before libpq closes the socket, since it has a copy.
static void close_connection(struct link *link)
{
    timer_disarm(&link->_timer);
    settings_stop(&link->_settings);
    unwatch(link);
    libpq.PQfreemem(link->_notification);
    link->_notification = NULL;
    if (link->_pq != NULL) {
        libpq.PQfinish(link->_pq);
        link->_pq = NULL;
    }
}
