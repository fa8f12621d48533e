// SPDX-License-Identifier: MIT
//
// Bytes move from three places to the kernel: from the journals, where a frame is read by every
// reader and never copied; from the backlog, where a stream's own events wait behind frames; and
// from the connection's output, which goes before both. A round has four steps. First the notices
// are written to the output. Then a plan lists the pieces that come next. Then one write gives
// output and plan to the kernel. Then what the kernel took is booked: cursors move on and the
// backlog gets shorter. Rounds follow until all is out, the kernel takes no more, or the stream has
// had its share of the turn.
//
// Nearly every plan is one run: frames of one channel that lie together in memory and go out as
// they are (`plan_run`). A plan is longer (`plan_merged`) when there is a backlog; when the stream
// follows several channels, whose frames are merged in the order of publishing and get ids that
// name the place in each of them; and for a reader without chunks.
//
// The kernel may take any part of a plan. If it took a part of a frame, the rest of that frame must
// go out before anything else. The rest goes to the backlog, which holds its block, because the
// journal may drop the frame meanwhile.
#include "sse/flush.h"

#include "base/counters.h"
#include "http/exchange.h"
#include "hub/local_hub.h"
#include "hub/replica.h"
#include "net/transport.h"
#include "sse/backlog.h"
#include "sse/cursor.h"
#include "sse/notice.h"
#include "wire/chunk.h"

enum {
    STEPS_MAX = 30,
    PIECES_MAX = 2 * STEPS_MAX,  // a frame may have two
    BLOCKS_MAX = 16,             // of a run
    TURN_BYTES_MAX = 256 * 1024, // of one stream in one turn
    ID_LINE_MAX = 8,             // room for "id: " and LF
};

// `exchange_deliver` puts the connection's output before the pieces.
static_assert((int)PIECES_MAX < (int)TRANSPORT_PIECES_MAX, "a plan fits into one write");
static_assert(BLOCKS_MAX <= PIECES_MAX, "a run fits into a plan");

enum step_kind {
    STEP_REST,  // of a frame that was begun
    STEP_OWN,   // an event of the stream's own
    STEP_RUN,   // frames of one channel, as they are
    STEP_FRAME, // one frame, in another form: `prefix` and a slice of it
};

/// One or more pieces of a plan that are booked together.
struct step {
    enum step_kind kind;
    size_t size;
    struct cursor *cursor; // RUN, FRAME
    uint64_t until;        // RUN, FRAME: the cursor's next frame; a planned FRAME has set it
    struct bytes prefix;   // FRAME; may be empty
    struct bytes slice;    // FRAME, OWN
};

/// What goes out in one write, after the connection's output.
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
static void plan_frame(struct plan *plan, struct cursor *cursor);
static struct bytes put_prefix(struct plan *plan, struct cursor *cursor, size_t fields_len);
static void add_step(struct plan *plan, struct step step);
static void add_piece(struct plan *plan, struct bytes piece);
static void book(const struct plan *plan, size_t taken);
static void book_whole(struct stream *stream, const struct step *step);
static void book_part(struct stream *stream, const struct step *step, size_t taken);
static void send_first(struct stream *stream, struct bytes left);

enum flush_result flush_write(struct stream *stream)
{
    size_t sent = 0;
    while (sent < TURN_BYTES_MAX) {
        bool is_within_frame = backlog_has_rest(stream->_backlog);
        if (exchange_is_blocked(stream->exchange) || (!is_within_frame && !notices_say(stream))) {
            return FLUSH_BLOCKED;
        }
        struct plan plan;
        make_plan(&plan, stream);
        sent += carry_out(&plan);
        if (plan.is_complete && !exchange_is_blocked(stream->exchange)) {
            return FLUSH_OUT;
        }
        if (!plan.is_complete && plan.step_count == 0) { // there was no memory for a plan
            exchange_abort(stream->exchange, END_FAILED);
            return FLUSH_BLOCKED;
        }
    }
    exchange_wants_flush(stream->exchange);
    return FLUSH_MORE;
}

/// Writes the connection's output and the plan, and books what the kernel took. Returns how many
/// bytes of the plan that was.
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
    DCHECK(!exchange_is_blocked(stream->exchange));
    plan->stream = stream;
    plan->piece_count = 0;
    plan->step_count = 0;
    plan->size = 0;
    plan->prefixes = NULL;
    plan->is_complete = true;
    const struct backlog *backlog = stream->_backlog;
    struct cursor *only = stream->_cursors;
    if (backlog_has_rest(backlog)) {
        add_piece(plan, backlog->rest);
        add_step(plan, (struct step){.kind = STEP_REST, .size = backlog->rest.len});
        plan->is_complete = false; // what comes behind it is the next plan's
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

/// Plans nothing, and is not complete, when there is no memory for the prefixes.
static void plan_merged(struct plan *plan)
{
    struct stream *stream = plan->stream;
    if (stream->_cursors != NULL && stream->_cursors->after != NULL) {
        struct buf *scratch = &stream->_cursors->subscriber.replica->local->scratch;
        plan->prefix_size = CHUNK_SIZE_LEN_MAX + ID_LINE_MAX + cursors_id_size(stream);
        buf_clear(scratch);
        plan->prefixes = buf_reserve(scratch, plan->prefix_size * STEPS_MAX);
        if (plan->prefixes == NULL) {
            plan->is_complete = false;
            return;
        }
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

/// Adds one step: the event of the stream's own at the next mark, or the frame that was published
/// first. False when there is nothing more, or the rest comes behind the stream's end.
static bool plan_next(struct plan *plan, size_t *own_at, size_t *mark_index)
{
    struct stream *stream = plan->stream;
    uint64_t stamp = UINT64_MAX;
    struct cursor *cursor = oldest(stream, &stamp);
    const struct backlog *backlog = stream->_backlog;
    const struct backlog_mark *mark = backlog_mark_at(backlog, *mark_index);
    if (mark != NULL && (cursor == NULL || mark->stamp < stamp)) {
        DCHECK(backlog != NULL);
        struct bytes own = bytes_skip(buf_bytes(&backlog->own), *own_at);
        own.len = mark->size;
        add_piece(plan, own);
        add_step(plan, (struct step){.kind = STEP_OWN, .size = own.len, .slice = own});
        *own_at += own.len;
        (*mark_index)++;
        return true;
    }
    if (cursor == NULL || (backlog_is_ending(backlog) && stamp > backlog->end_stamp)) {
        return false;
    }
    plan_frame(plan, cursor);
    return true;
}

/// The cursor whose next frame was published first, with the stamp of that frame; or NULL when all
/// cursors stand at the newest.
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

/// Writes what goes before the fields of a frame: the head of its chunk, and an id that names the
/// place in every channel. The head depends on the length of the id, so the id is written first and
/// the head right before it.
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

/// The kernel took `taken` bytes of the plan. Planning a frame has moved its cursor on, so a frame
/// that was not begun moves it back. Bytes of the stream's own events are taken off the count,
/// because they were counted when the events were made.
static void book(const struct plan *plan, size_t taken)
{
    int begun_count = 0;
    DCHECK(taken <= plan->size);
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
        backlog_count(plan->stream->_backlog);
    }
}

static void book_whole(struct stream *stream, const struct step *step)
{
    switch (step->kind) {
    case STEP_REST:
        backlog_keep_rest(stream->_backlog, NULL, BYTES(""));
        return;
    case STEP_OWN:
        backlog_consume_own(stream->_backlog, step->size);
        return;
    case STEP_RUN:
        count_up(COUNT_EVENTS_SENT, step->until - step->cursor->subscriber.next);
        step->cursor->subscriber.next = step->until;
        return;
    case STEP_FRAME:
        count_up(COUNT_EVENTS_SENT, 1);
        return; // the plan has moved the cursor on already
    }
}

/// The kernel took the first `taken` bytes of the step, and not all of it.
static void book_part(struct stream *stream, const struct step *step, size_t taken)
{
    struct cursor *cursor = step->cursor;
    struct backlog *backlog = backlog_of(stream);
    switch (step->kind) {
    case STEP_REST:
        backlog->rest = bytes_skip(backlog->rest, taken);
        return;
    case STEP_OWN:
        send_first(stream, bytes_skip(step->slice, taken));
        backlog_consume_own(backlog, step->size);
        return;
    case STEP_RUN: {
        DCHECK(taken > 0);
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
            backlog_keep_rest(backlog, frame->block, bytes_skip(frame_chunk(frame), taken));
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
        backlog_keep_rest(backlog, frame->block, bytes_skip(step->slice, taken - step->prefix.len));
        count_up(COUNT_EVENTS_SENT, 1);
        return;
    }
    }
}

/// Puts `left`, the rest of something of the stream's own, into the connection's output, which goes
/// before everything else. A notice would otherwise stand in the middle of it.
static void send_first(struct stream *stream, struct bytes left)
{
    if (!buf_append(exchange_output(stream->exchange), left)) {
        exchange_abort(stream->exchange, END_SLOW); // there is no memory for it
    }
    exchange_wrote(stream->exchange, left.len);
}
