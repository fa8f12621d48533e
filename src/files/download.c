// SPDX-License-Identifier: MIT
//
// `flush` runs at the end of a turn: it delivers what is in memory, and when all of that is with
// the kernel it has the next run of a piece done in the pool. `on_worked` takes the result on the
// loop's thread and asks for the next `flush`. While a thread works, the loop writes nothing to the
// socket: `flush` returns at once, and nobody else writes for this exchange.
#include "files/download.h"

#include "base/mem.h"
#include "files/pieces.h"
#include "http/exchange.h"
#include "net/offload.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum {
    SEND_BYTES = 1024 * 1024, // in one work: others wait for the threads, too
    READ_BYTES = 64 * 1024,
};

struct download {
    struct offload offload;
    struct exchange *exchange; // NULL once it is done
    // Who held the exchange before, and holds it again at its end.
    const struct exchange_events *events;
    void *holder;
    struct pieces pieces;
    size_t index;       // of the piece that is under way; its text has begun
    uint64_t at;        // where the next run begins in the file
    uint64_t left;      // of that piece
    struct bytes ready; // bytes in memory that the kernel has not taken: a text, or what was read
    char *memory;       // of READ_BYTES; NULL until something is read
    ssize_t result;     // of the last work: bytes that were sent or read; or a negative errno
    int file;
    int socket;      // for the work; -1: it reads instead
    bool is_full;    // the work ended because the socket takes no more
    bool is_working; // a thread has this struct
    bool has_finished;
};

static bool flush(struct exchange *exchange);
static bool deliver(struct download *download);
static bool next_piece(struct download *download);
static void work(struct download *download);
static void run(struct offload *offload);
static void send_run(struct download *download);
static void read_run(struct download *download);
static uint64_t run_size(const struct download *download, uint64_t bytes_max);
static void on_worked(struct offload *offload);
static enum end_reason end_reason_of(const struct download *download, bool was_sent);
static void take_result(struct download *download, bool was_sent);
static void on_room(struct exchange *exchange);
static void on_peer_ended(struct exchange *exchange);
static void on_done(struct exchange *exchange, enum end_reason reason);
static void drop(struct download *download);

static const struct exchange_events download_events = {
    .flush = flush,
    .on_room = on_room,
    .on_peer_ended = on_peer_ended,
    .on_done = on_done,
};

int download_send(struct exchange *exchange, int file, struct pieces *pieces)
{
    DCHECK(file >= 0 && pieces->count > 0);
    int failure = exchange_begin_sized(exchange, pieces->length);
    if (failure != 0 || exchange->is_head || pieces->length == 0) {
        close(file);
        pieces_deinit(pieces);
        return failure;
    }
    struct download *download = mem_new(struct download);
    download->exchange = exchange;
    download->events = exchange->events;
    download->holder = exchange->holder;
    download->file = file;
    download->socket = -1;
    download->offload.run = run;
    download->offload.done = on_worked;
    pieces_move(&download->pieces, pieces);
    CHECK(next_piece(download));
    exchange->events = &download_events;
    exchange->holder = download;
    exchange_wants_flush(exchange);
    return 0;
}

static bool flush(struct exchange *exchange)
{
    struct download *download = exchange->holder;
    DCHECK(download->exchange == exchange && exchange->events == &download_events);
    if (download->is_working || exchange->is_aborted) {
        return false;
    }
    while (deliver(download)) {
        if (download->left > 0) {
            work(download);
            return false;
        }
        if (download->has_finished) {
            return true;
        }
        if (!next_piece(download)) {
            exchange_finish_sized(exchange);
            download->has_finished = true;
        }
    }
    return false;
}

/// Delivers the head, or what else is in the output, and what is in memory. Whether all of it is
/// with the kernel.
static bool deliver(struct download *download)
{
    struct exchange *exchange = download->exchange;
    int count = download->ready.len > 0 ? 1 : 0;
    if (count > 0 || exchange_pending_bytes(exchange) > 0) {
        size_t taken = exchange_deliver(exchange, &download->ready, count);
        download->ready = bytes_skip(download->ready, taken);
    }
    DCHECK(exchange_is_blocked(exchange) || download->ready.len == 0);
    return !exchange_is_blocked(exchange);
}

/// Begins the next piece: its text is ready. False when there is none.
static bool next_piece(struct download *download)
{
    struct pieces *pieces = &download->pieces;
    DCHECK(download->left == 0 && download->ready.len == 0);
    if (download->index == pieces->count) {
        return false;
    }
    const struct piece *piece = &pieces->items[download->index++];
    size_t text_at = 0;
    for (const struct piece *before = pieces->items; before < piece; before++) {
        text_at += before->text_len;
    }
    struct bytes texts = bytes_skip(buf_bytes(&pieces->texts), text_at);
    download->ready = bytes_of(texts.at, piece->text_len);
    download->at = piece->first;
    download->left = piece->size;
    return true;
}

/// Has a thread send or read the next run of the piece.
static void work(struct download *download)
{
    int socket = exchange_duplicate_socket(download->exchange);
    DCHECK(!download->is_working && download->socket < 0);
    download->socket = socket < 0 ? -1 : socket;
    download->is_full = false;
    if (socket < 0 && download->memory == NULL) {
        download->memory = mem_alloc(READ_BYTES);
    }
    download->is_working = true;
    offload_start(&download->offload, exchange_loop(download->exchange));
}

static void run(struct offload *offload)
{
    struct download *download = CONTAINER_OF(offload, struct download, offload);
    DCHECK(download->is_working && download->left > 0);
    if (download->socket >= 0) {
        send_run(download);
    } else {
        read_run(download);
    }
}

/// The socket does not block, so the thread waits for nothing but the disk.
static void send_run(struct download *download)
{
    uint64_t size = run_size(download, SEND_BYTES);
    DCHECK(size > 0);
    off_t at = (off_t)download->at;
    download->result = 0;
    while ((uint64_t)download->result < size) {
        size_t left = (size_t)size - (size_t)download->result;
        ssize_t count = sendfile(download->socket, download->file, &at, left);
        if (count > 0) {
            download->result += count;
        } else if (count == 0) {
            download->result = -EIO; // the file has become shorter
            return;
        } else if (errno == EAGAIN) {
            download->is_full = true;
            return;
        } else if (errno != EINTR) {
            download->result = -errno;
            return;
        }
    }
}

static void read_run(struct download *download)
{
    uint64_t size = run_size(download, READ_BYTES);
    DCHECK(size > 0 && download->memory != NULL);
    download->result = 0;
    while ((uint64_t)download->result < size) {
        size_t done = (size_t)download->result;
        ssize_t count = pread(download->file, download->memory + done, (size_t)size - done,
                              (off_t)(download->at + done));
        if (count > 0) {
            download->result += count;
        } else if (count == 0 || errno != EINTR) {
            download->result = count == 0 ? -EIO : -errno;
            return;
        }
    }
}

static uint64_t run_size(const struct download *download, uint64_t bytes_max)
{
    return download->left < bytes_max ? download->left : bytes_max;
}

static void on_worked(struct offload *offload)
{
    struct download *download = CONTAINER_OF(offload, struct download, offload);
    bool was_sent = download->socket >= 0;
    download->is_working = false;
    if (was_sent) {
        close(download->socket);
        download->socket = -1;
    }
    if (download->exchange == NULL) {
        drop(download);
    } else if (download->result < 0) {
        exchange_abort(download->exchange, end_reason_of(download, was_sent));
    } else {
        take_result(download, was_sent);
    }
}

/// A file that cannot be read, or has become shorter, is a failure of ours. Any other failure of a
/// socket means that the peer is gone.
static enum end_reason end_reason_of(const struct download *download, bool was_sent)
{
    int failure = (int)download->result;
    DCHECK(failure < 0);
    return was_sent && failure != -EIO ? end_reason_of_failure(failure) : END_FAILED;
}

static void take_result(struct download *download, bool was_sent)
{
    uint64_t size = (uint64_t)download->result;
    DCHECK(size <= download->left && download->ready.len == 0);
    download->at += size;
    download->left -= size;
    if (was_sent) {
        exchange_sent(download->exchange, (size_t)size, download->is_full);
    } else {
        download->ready = bytes_of(download->memory, (size_t)size);
        exchange_wants_flush(download->exchange);
    }
}

/// Nobody who could ask for room writes to a response that has ended.
static void on_room(struct exchange *exchange)
{
    exchange_wants_flush(exchange);
}

static void on_peer_ended(struct exchange *exchange)
{
    struct download *download = exchange->holder;
    if (download->events == NULL || download->events->on_peer_ended == NULL) {
        return;
    }
    exchange->holder = download->holder; // the call finds the exchange as its holder knows it
    download->events->on_peer_ended(exchange);
    exchange->holder = download;
}

static void on_done(struct exchange *exchange, enum end_reason reason)
{
    struct download *download = exchange->holder;
    const struct exchange_events *events = download->events;
    DCHECK(download->exchange == exchange);
    exchange->events = events;
    exchange->holder = download->holder;
    download->exchange = NULL;
    if (!download->is_working) {
        drop(download);
    }
    if (events != NULL) {
        events->on_done(exchange, reason);
    }
}

static void drop(struct download *download)
{
    DCHECK(!download->is_working && download->exchange == NULL && download->socket < 0);
    close(download->file);
    pieces_deinit(&download->pieces);
    mem_free(download->memory);
    mem_free(download);
}
