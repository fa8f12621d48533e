// SPDX-License-Identifier: MIT
//
// Output: `write_out` makes one record after the other and gives each to the lower transport. When
// that takes a part, the rest is held, nothing more is taken, and the lower transport's `on_room`
// goes on (`send_held`). Input: `on_bytes` gathers what comes, and `deliver` hands up each record
// that is complete, for as long as the user reads. The user may stop or close within any callback.
#include "veil.h"

#include "base/mem.h"

#include <errno.h>

enum { HEAD_LEN = 2, RECORD_MAX = 16 * 1024 };

struct veil {
    struct transport base;
    struct transport *lower;
    struct loop_job job; // input that has waited until the user reads again
    struct veil_coder in;
    struct veil_coder out;
    struct buf input;
    struct buf held; // of a record that was begun
    size_t record_max;
    bool is_reading;
    bool awaits_room;  // the user does
    bool awaits_lower; // `on_room` of the lower transport follows
    bool is_shut;      // the last record was made
    bool has_last;     // the peer's last record was read
    bool has_ended;    // the peer's bytes have ended below
    bool is_end_told;  // to the user
    bool is_closing;
    struct loop *loop;
};

static struct veil *veil_of(const struct transport *transport);
static void start(struct transport *transport);
static void stop(struct transport *transport);
static ssize_t write_out(struct transport *transport, const struct bytes *pieces, int count);
static void await_room(struct transport *transport);
static bool is_holding(const struct transport *transport);
static size_t unsent_bytes(const struct transport *transport);
static void shut(struct transport *transport);
static void close_down(struct transport *transport, bool is_reset);
static int send_held(struct veil *veil);
static void finish_shut(struct veil *veil);
static void deliver(struct veil *veil);
static bool take_record(struct veil *veil, struct bytes *record);
static void tell_end(struct veil *veil);
static void on_job(struct loop_job *job);
static void on_bytes(void *user, char *at, size_t len);
static void on_end(void *user);
static void on_room(void *user);
static void on_failed(void *user, int failure);
static void on_closed(void *user);
static void scramble(struct veil_coder *coder, char *at, size_t len);
static size_t record_len(struct bytes bytes);

static const struct transport_ops ops = {
    .start = start,
    .stop = stop,
    .write = write_out,
    .await_room = await_room,
    .is_holding = is_holding,
    .unsent_bytes = unsent_bytes,
    .shut = shut,
    .close = close_down,
};

static const struct transport_events lower_events = {
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_room = on_room,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

struct transport *veil_over(struct transport *lower, struct loop *loop, size_t record_max)
{
    struct veil *veil = mem_new(struct veil);
    CHECK(record_max > 0 && record_max <= RECORD_MAX);
    veil->base.ops = &ops;
    veil->lower = lower;
    veil->loop = loop;
    veil->record_max = record_max;
    loop_job_init(&veil->job, on_job);
    buf_init(&veil->input, HEAD_LEN + RECORD_MAX + LOOP_READ_BYTES);
    buf_init(&veil->held, HEAD_LEN + RECORD_MAX);
    transport_bind(lower, &lower_events, veil);
    return &veil->base;
}

void veil_encode(struct veil_coder *coder, struct bytes bytes, struct buf *out)
{
    char head[HEAD_LEN] = {(char)(bytes.len >> 8), (char)(bytes.len & 0xff)};
    size_t before = buf_len(out);
    CHECK(bytes.len <= RECORD_MAX);
    CHECK(buf_append(out, bytes_of(head, sizeof(head))) && buf_append(out, bytes));
    scramble(coder, buf_start(out) + before + HEAD_LEN, bytes.len);
}

bool veil_decode(struct bytes bytes, struct buf *out)
{
    struct veil_coder coder = {0};
    bool has_last = false;
    while (bytes.len >= HEAD_LEN && bytes.len - HEAD_LEN >= record_len(bytes)) {
        size_t len = record_len(bytes);
        size_t before = buf_len(out);
        CHECK(!has_last);
        CHECK(buf_append(out, bytes_of(bytes.at + HEAD_LEN, len)));
        scramble(&coder, buf_start(out) + before, len);
        bytes = bytes_skip(bytes, HEAD_LEN + len);
        has_last = len == 0;
    }
    return has_last;
}

static struct veil *veil_of(const struct transport *transport)
{
    return CONTAINER_OF(transport, struct veil, base);
}

/// Never calls back before it returns: input that has waited is delivered by a job of the loop.
static void start(struct transport *transport)
{
    struct veil *veil = veil_of(transport);
    veil->is_reading = true;
    if (!veil->has_ended && !veil->has_last) {
        transport_start(veil->lower);
    }
    if (!veil->is_closing && (veil->has_ended || !buf_is_empty(&veil->input))) {
        loop_at_turn_end(veil->loop, LOOP_RUN, &veil->job);
    }
}

static void stop(struct transport *transport)
{
    struct veil *veil = veil_of(transport);
    veil->is_reading = false;
    transport_stop(veil->lower);
}

static ssize_t write_out(struct transport *transport, const struct bytes *pieces, int count)
{
    struct veil *veil = veil_of(transport);
    size_t taken = 0;
    CHECK(!veil->is_shut && !veil->is_closing);
    for (int i = 0; i < count; i++) {
        for (struct bytes rest = pieces[i]; rest.len > 0;) {
            if (!buf_is_empty(&veil->held)) {
                return (ssize_t)taken;
            }
            size_t len = rest.len < veil->record_max ? rest.len : veil->record_max;
            veil_encode(&veil->out, bytes_of(rest.at, len), &veil->held);
            taken += len;
            rest = bytes_skip(rest, len);
            int failure = send_held(veil);
            if (failure != 0) {
                return failure;
            }
        }
    }
    return (ssize_t)taken;
}

static void await_room(struct transport *transport)
{
    struct veil *veil = veil_of(transport);
    veil->awaits_room = true;
    veil->awaits_lower = true;
    transport_await_room(veil->lower);
}

static bool is_holding(const struct transport *transport)
{
    return !buf_is_empty(&veil_of(transport)->held);
}

static size_t unsent_bytes(const struct transport *transport)
{
    const struct veil *veil = veil_of(transport);
    return buf_len(&veil->held) + transport_unsent_bytes(veil->lower);
}

/// The user knows of nothing that is held, so only the last record can wait here.
static void shut(struct transport *transport)
{
    struct veil *veil = veil_of(transport);
    CHECK(buf_is_empty(&veil->held) && !veil->awaits_lower);
    veil->is_shut = true;
    veil_encode(&veil->out, BYTES(""), &veil->held);
    (void)send_held(veil); // a peer that is gone is told by reading
    finish_shut(veil);
}

/// Drops what is held. A user that wants it sent waits until nothing is held.
static void close_down(struct transport *transport, bool is_reset)
{
    struct veil *veil = veil_of(transport);
    if (veil->is_closing) {
        return;
    }
    if (!is_reset && !veil->is_shut && buf_is_empty(&veil->held) && !veil->awaits_lower) {
        veil_encode(&veil->out, BYTES(""), &veil->held);
        (void)send_held(veil); // once; it is polite, and no more
    }
    veil->is_closing = true;
    loop_job_cancel(&veil->job);
    if (is_reset) {
        transport_reset(veil->lower);
    } else {
        transport_close(veil->lower);
    }
}

/// Gives the lower transport what it takes. Returns 0 or a negative errno.
static int send_held(struct veil *veil)
{
    struct bytes bytes = buf_bytes(&veil->held);
    if (veil->awaits_lower || bytes.len == 0) {
        return 0;
    }
    ssize_t taken = transport_write(veil->lower, &bytes, 1);
    if (taken < 0) {
        return (int)taken;
    }
    buf_consume(&veil->held, (size_t)taken);
    if (!buf_is_empty(&veil->held)) {
        veil->awaits_lower = true;
        transport_await_room(veil->lower);
    }
    return 0;
}

static void finish_shut(struct veil *veil)
{
    if (veil->is_shut && buf_is_empty(&veil->held) && !veil->is_closing) {
        transport_shut(veil->lower);
    }
}

static void deliver(struct veil *veil)
{
    struct bytes record;
    while (veil->is_reading && !veil->is_closing && take_record(veil, &record)) {
        if (record.len > 0) {
            veil->base.events->on_bytes(veil->base.user, (char *)record.at, record.len);
        }
        buf_consume(&veil->input, HEAD_LEN + record.len);
    }
    if (veil->is_reading && !veil->is_closing) {
        tell_end(veil);
    }
}

/// Finds the next record and unscrambles it where it stands. Returns false when it is not complete.
static bool take_record(struct veil *veil, struct bytes *record)
{
    struct bytes bytes = buf_bytes(&veil->input);
    if (veil->has_last || bytes.len < HEAD_LEN || bytes.len - HEAD_LEN < record_len(bytes)) {
        return false;
    }
    *record = bytes_of(bytes.at + HEAD_LEN, record_len(bytes));
    scramble(&veil->in, (char *)record->at, record->len);
    veil->has_last = record->len == 0;
    return true;
}

/// Bytes that end without a last record may have been cut by anybody: that is a failure.
static void tell_end(struct veil *veil)
{
    if (veil->is_end_told || (!veil->has_last && !veil->has_ended)) {
        return;
    }
    veil->is_end_told = true;
    if (veil->has_last) {
        veil->base.events->on_end(veil->base.user);
    } else {
        veil->base.events->on_failed(veil->base.user, -EPROTO);
    }
}

static void on_job(struct loop_job *job)
{
    deliver(CONTAINER_OF(job, struct veil, job));
}

static void on_bytes(void *user, char *at, size_t len)
{
    struct veil *veil = user;
    CHECK(buf_append(&veil->input, bytes_of(at, len)));
    deliver(veil);
}

static void on_end(void *user)
{
    struct veil *veil = user;
    veil->has_ended = true;
    deliver(veil);
}

static void on_room(void *user)
{
    struct veil *veil = user;
    veil->awaits_lower = false;
    int failure = send_held(veil);
    if (failure != 0) {
        veil->base.events->on_failed(veil->base.user, failure);
        return;
    }
    if (!buf_is_empty(&veil->held)) {
        return;
    }
    finish_shut(veil);
    if (veil->awaits_room) {
        veil->awaits_room = false;
        veil->base.events->on_room(veil->base.user);
    }
}

static void on_failed(void *user, int failure)
{
    struct veil *veil = user;
    veil->base.events->on_failed(veil->base.user, failure);
}

static void on_closed(void *user)
{
    struct veil *veil = user;
    CHECK(veil->is_closing);
    veil->base.events->on_closed(veil->base.user);
    loop_job_cancel(&veil->job);
    buf_reset(&veil->input);
    buf_reset(&veil->held);
    mem_free(veil);
}

static void scramble(struct veil_coder *coder, char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        at[i] = (char)(at[i] ^ (char)(0x80 | (coder->place++ * 31 & 0x7f)));
    }
}

static size_t record_len(struct bytes bytes)
{
    return (size_t)(unsigned char)bytes.at[0] << 8 | (unsigned char)bytes.at[1];
}
