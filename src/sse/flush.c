// SPDX-License-Identifier: MIT
//
// What a stream writes at the end of a turn. Nearly every time that is one run of frames of one
// channel, which lie together in memory and go out as they are. What makes it longer: the rest of a
// frame that the kernel took a part of; events of the stream's own between frames; a second
// channel, whose frames are merged in by the order of publishing and get ids that name both places;
// a reader without chunks. A plan lists the pieces in order; what the kernel took of them is then
// booked.
#include "base/counters.h"
#include "hub/local_hub.h"
#include "net/transport.h"
#include "sse/stream_parts.h"
#include "wire/chunk.h"

enum {
    STEPS_MAX = 30,
    PIECES_MAX = 2 * STEPS_MAX,  // a frame may have two
    BLOCKS_MAX = 16,             // of a run
    TURN_BYTES_MAX = 256 * 1024, // then it is somebody else's turn
    ID_LINE_MAX = 8,             // "id: ", LF, and to spare
};

enum step_kind {
    STEP_REST,  // of a frame that was begun
    STEP_OWN,   // an event of the stream's own
    STEP_RUN,   // frames of one channel, as they are
    STEP_FRAME, // one frame, in another form: `prefix` and a slice of it
};

struct step {
    enum step_kind kind;
    size_t size;
    struct cursor *cursor; // RUN, FRAME
    uint64_t until;        // RUN, FRAME: where the cursor is afterwards; with FRAME it is already
    struct bytes prefix;   // FRAME; may be empty
    struct bytes slice;    // FRAME, OWN
};

struct plan {
    struct stream *stream;
    struct bytes pieces[PIECES_MAX];
    struct step steps[STEPS_MAX];
    int piece_count;
    int step_count;
    size_t size;
    char *prefixes; // where prefixes are written, in the worker's scratch memory; or NULL
    size_t prefix_size;
    bool is_complete; // nothing is left out
};

static size_t carry_out(struct plan *plan);
static void make_plan(struct plan *plan, struct stream *stream);
static void plan_run(struct plan *plan, struct cursor *cursor);
static void plan_merged(struct plan *plan);
static bool plan_next(struct plan *plan, size_t *own_at, size_t *mark_index);
static struct cursor *oldest(const struct stream *stream, uint64_t *stamp);
static const struct stream_mark *mark_at(const struct stream *stream, size_t at);
static void plan_frame(struct plan *plan, struct cursor *cursor);
static struct bytes put_prefix(struct plan *plan, struct cursor *cursor, size_t fields_len);
static void add_step(struct plan *plan, struct step step);
static void add_piece(struct plan *plan, struct bytes piece);
static void book(const struct plan *plan, size_t taken);
static void book_whole(struct stream *stream, const struct step *step);
static void book_part(struct stream *stream, const struct step *step, size_t taken);
static void send_first(struct stream *stream, struct bytes left);
static void consume_own(struct stream *stream, size_t size);
static void keep_rest(struct stream *stream, struct block *block, struct bytes rest);
static void settle(struct stream *stream);

enum subscriber_progress stream_flush(struct stream *stream)
{
    size_t sent = 0;
    while (sent < TURN_BYTES_MAX) {
        bool is_within_frame = stream->_backlog != NULL && stream->_backlog->rest.len > 0;
        if (exchange_is_blocked(stream->exchange) || (!is_within_frame && !notices_say(stream))) {
            return SUBSCRIBER_DONE;
        }
        struct plan plan;
        make_plan(&plan, stream);
        sent += carry_out(&plan);
        if (plan.is_complete && !exchange_is_blocked(stream->exchange)) {
            settle(stream);
            if (exchange_pending_bytes(stream->exchange) == 0) {
                return SUBSCRIBER_DONE;
            }
        }
    }
    exchange_wants_flush(stream->exchange);
    return SUBSCRIBER_MORE;
}

/// Returns how many bytes of the plan the kernel took.
static size_t carry_out(struct plan *plan)
{
    struct exchange *exchange = plan->stream->exchange;
    size_t taken = 0;
    if (plan->size > 0 || exchange_pending_bytes(exchange) > 0) {
        taken = exchange_deliver(exchange, plan->pieces, plan->piece_count);
        heartbeat_note(&plan->stream->_heartbeat);
        if (plan->step_count == 1 && plan->steps[0].kind == STEP_RUN && taken == plan->size) {
            count_up(COUNT_EVENT_BYTES, taken);
            book_whole(plan->stream, &plan->steps[0]); // nearly always
        } else {
            book(plan, taken);
        }
    }
    return taken;
}

static void make_plan(struct plan *plan, struct stream *stream)
{
    plan->stream = stream;
    plan->piece_count = 0;
    plan->step_count = 0;
    plan->size = 0;
    plan->prefixes = NULL;
    plan->is_complete = true;
    const struct stream_backlog *backlog = stream->_backlog;
    struct cursor *only = stream->_cursors;
    if (backlog != NULL && backlog->rest.len > 0) {
        add_piece(plan, backlog->rest);
        add_step(plan, (struct step){.kind = STEP_REST, .size = backlog->rest.len});
        plan->is_complete = false; // a look at what comes behind it
    } else if (backlog == NULL && only == NULL) {
        return;
    } else if (backlog == NULL && only->after == NULL && exchange_is_chunked(stream->exchange)) {
        plan_run(plan, only);
    } else {
        plan_merged(plan);
    }
}

static void plan_run(struct plan *plan, struct cursor *cursor)
{
    const struct journal *journal = &cursor->subscriber.replica->journal;
    struct step step = {.kind = STEP_RUN, .cursor = cursor};
    plan->piece_count =
        journal_pieces(journal, cursor->subscriber.next, plan->pieces, BLOCKS_MAX, &step.until);
    for (int i = 0; i < plan->piece_count; i++) {
        step.size += plan->pieces[i].len;
    }
    plan->is_complete = step.until == journal->next;
    if (step.size > 0) {
        add_step(plan, step);
    }
}

static void plan_merged(struct plan *plan)
{
    struct stream *stream = plan->stream;
    if (stream->_cursors != NULL && stream->_cursors->after != NULL) {
        struct buf *scratch = &stream->_cursors->subscriber.replica->local->scratch;
        plan->prefix_size = CHUNK_SIZE_LEN_MAX + ID_LINE_MAX + cursors_id_size(stream);
        buf_clear(scratch);
        plan->prefixes = buf_reserve(scratch, plan->prefix_size * STEPS_MAX);
        CHECK(plan->prefixes != NULL);
    }
    size_t own_at = 0;
    size_t mark = 0;
    while (plan->step_count < STEPS_MAX && plan->size < TURN_BYTES_MAX) {
        if (!plan_next(plan, &own_at, &mark)) {
            return;
        }
    }
    plan->is_complete = false;
}

/// Adds what comes next. False when there is nothing more.
static bool plan_next(struct plan *plan, size_t *own_at, size_t *mark_index)
{
    struct stream *stream = plan->stream;
    uint64_t stamp = UINT64_MAX;
    struct cursor *cursor = oldest(stream, &stamp);
    const struct stream_mark *mark = mark_at(stream, *mark_index);
    DCHECK(stream->_backlog != NULL || (mark == NULL && !stream->_is_ending));
    if (mark != NULL && (cursor == NULL || mark->stamp < stamp)) {
        struct bytes own = bytes_skip(buf_bytes(&stream->_backlog->own), *own_at);
        own.len = mark->size;
        add_piece(plan, own);
        add_step(plan, (struct step){.kind = STEP_OWN, .size = own.len, .slice = own});
        *own_at += own.len;
        (*mark_index)++;
        return true;
    }
    if (cursor == NULL || (stream->_is_ending && stamp > stream->_backlog->end_stamp)) {
        return false;
    }
    plan_frame(plan, cursor);
    return true;
}

/// The cursor whose next frame was published first, or NULL when all are at the newest.
static struct cursor *oldest(const struct stream *stream, uint64_t *stamp)
{
    struct cursor *found = NULL;
    for (struct cursor *cursor = stream->_cursors; cursor != NULL; cursor = cursor->after) {
        const struct journal *journal = &cursor->subscriber.replica->journal;
        if (cursor->subscriber.next < journal->next) {
            const struct frame *frame = journal_frame(journal, cursor->subscriber.next);
            if (frame->stamp < *stamp) {
                *stamp = frame->stamp;
                found = cursor;
            }
        }
    }
    return found;
}

static const struct stream_mark *mark_at(const struct stream *stream, size_t index)
{
    if (stream->_backlog == NULL) {
        return NULL;
    }
    struct bytes marks = buf_bytes(&stream->_backlog->marks);
    const struct stream_mark *first = (const struct stream_mark *)(const void *)marks.at;
    return index < marks.len / sizeof(struct stream_mark) ? &first[index] : NULL;
}

static void plan_frame(struct plan *plan, struct cursor *cursor)
{
    const struct frame *frame =
        journal_frame(&cursor->subscriber.replica->journal, cursor->subscriber.next);
    bool is_chunked = exchange_is_chunked(plan->stream->exchange);
    struct step step = {.kind = STEP_FRAME, .cursor = cursor, .until = ++cursor->subscriber.next};
    if (plan->prefixes != NULL) {
        step.slice = frame_fields(frame, is_chunked);
        step.prefix = put_prefix(plan, cursor, frame_fields(frame, false).len);
        add_piece(plan, step.prefix);
    } else {
        step.slice = is_chunked ? frame_chunk(frame) : frame_text(frame);
    }
    step.size = step.prefix.len + step.slice.len;
    add_piece(plan, step.slice);
    add_step(plan, step);
}

/// The head of the chunk, and an id that names the place in every channel. The head stands right
/// before the line, whose length it has to know.
static struct bytes put_prefix(struct plan *plan, struct cursor *cursor, size_t fields_len)
{
    static const char label[] = {'i', 'd', ':', ' '};
    char head[CHUNK_SIZE_LEN_MAX];
    char *line = plan->prefixes + (size_t)plan->step_count * plan->prefix_size + sizeof(head);
    memcpy(line, label, sizeof(label));
    char *end = cursors_write_id(cursor->stream, line + sizeof(label));
    *end++ = '\n';
    if (exchange_is_chunked(plan->stream->exchange)) {
        size_t size = (size_t)(end - line) + fields_len;
        size_t head_len = (size_t)(chunk_put_size(head, size) - head);
        line -= head_len;
        memcpy(line, head, head_len);
    }
    return bytes_of(line, (size_t)(end - line));
}

static void add_step(struct plan *plan, struct step step)
{
    DCHECK(plan->step_count < STEPS_MAX);
    plan->steps[plan->step_count++] = step;
    plan->size += step.size;
}

static void add_piece(struct plan *plan, struct bytes piece)
{
    DCHECK(plan->piece_count < PIECES_MAX);
    plan->pieces[plan->piece_count++] = piece;
}

/// The kernel took `taken` bytes of the plan. Cursors stand where the plan ends; what was not begun
/// puts them back. Events of the stream's own were counted when they were made.
static void book(const struct plan *plan, size_t taken)
{
    int begun_count = 0;
    count_up(COUNT_EVENT_BYTES, taken);
    while (begun_count < plan->step_count && taken > 0) {
        const struct step *step = &plan->steps[begun_count++];
        if (step->kind == STEP_OWN) {
            count_up(COUNT_EVENT_BYTES, 0 - (taken < step->size ? taken : step->size));
        }
        if (taken < step->size) {
            book_part(plan->stream, step, taken);
            break;
        }
        book_whole(plan->stream, step);
        taken -= step->size;
    }
    for (int i = plan->step_count - 1; i >= begun_count; i--) {
        if (plan->steps[i].kind == STEP_FRAME) {
            plan->steps[i].cursor->subscriber.next = plan->steps[i].until - 1;
        }
    }
    if (plan->stream->_backlog != NULL) {
        stream_note_pending(plan->stream->_backlog);
    }
}

static void book_whole(struct stream *stream, const struct step *step)
{
    switch (step->kind) {
    case STEP_REST:
        keep_rest(stream, NULL, BYTES(""));
        return;
    case STEP_OWN:
        consume_own(stream, step->size);
        return;
    case STEP_RUN:
        count_up(COUNT_EVENTS_SENT, step->until - step->cursor->subscriber.next);
        step->cursor->subscriber.next = step->until;
        return;
    case STEP_FRAME:
        count_up(COUNT_EVENTS_SENT, 1);
        return; // it stands there
    }
}

/// What was begun must be gone through with: the rest of a frame is kept with its block, because
/// the journal may let it go before the reader takes it.
static void book_part(struct stream *stream, const struct step *step, size_t taken)
{
    struct cursor *cursor = step->cursor;
    struct stream_backlog *backlog = stream_backlog(stream);
    switch (step->kind) {
    case STEP_REST:
        backlog->rest = bytes_skip(backlog->rest, taken);
        return;
    case STEP_OWN:
        send_first(stream, bytes_skip(step->slice, taken));
        consume_own(stream, step->size);
        return;
    case STEP_RUN: {
        uint64_t first = cursor->subscriber.next;
        const struct frame *frame =
            journal_frame(&cursor->subscriber.replica->journal, cursor->subscriber.next++);
        while (taken >= frame->size) {
            taken -= frame->size;
            frame = journal_frame(&cursor->subscriber.replica->journal, cursor->subscriber.next++);
        }
        if (taken == 0) {
            cursor->subscriber.next--;
        } else {
            keep_rest(stream, frame->block, bytes_skip(frame_chunk(frame), taken));
        }
        count_up(COUNT_EVENTS_SENT, cursor->subscriber.next - first);
        return;
    }
    case STEP_FRAME: {
        const struct frame *frame =
            journal_frame(&cursor->subscriber.replica->journal, step->until - 1);
        if (taken < step->prefix.len) {
            send_first(stream, bytes_skip(step->prefix, taken));
            taken = step->prefix.len;
        }
        keep_rest(stream, frame->block, bytes_skip(step->slice, taken - step->prefix.len));
        count_up(COUNT_EVENTS_SENT, 1);
        return;
    }
    }
}

/// Before all else, notices included: they would stand in the middle of what was begun.
static void send_first(struct stream *stream, struct bytes left)
{
    if (!buf_append(exchange_output(stream->exchange), left)) {
        exchange_abort(stream->exchange, END_SLOW); // no memory for what the peer did not take
    }
    exchange_wrote(stream->exchange, left.len);
}

static void consume_own(struct stream *stream, size_t size)
{
    struct stream_backlog *backlog = stream->_backlog;
    struct stream_mark *mark = (struct stream_mark *)(void *)buf_start(&backlog->marks);
    DCHECK(size <= mark->size);
    mark->size -= size;
    if (mark->size == 0) {
        buf_consume(&backlog->marks, sizeof(*mark));
    }
    buf_consume(&backlog->own, size);
}

static void keep_rest(struct stream *stream, struct block *block, struct bytes rest)
{
    struct stream_backlog *backlog = stream_backlog(stream);
    if (block != NULL) {
        block_hold(block);
    }
    block_release(backlog->rest_block);
    backlog->rest_block = block;
    backlog->rest = rest;
}

/// Everything is out.
static void settle(struct stream *stream)
{
    if (stream->_is_ending) {
        stream_finish(stream);
        return;
    }
    stream_drop_backlog(stream);
    cursors_leave_closed(stream);
}
