// SPDX-License-Identifier: MIT
//
// A reader takes events of a channel as text, with no stream: what stands behind it is a task of a
// script. It finds its place as a stream does, is told a reset where its id leads nowhere, and is
// told the end of the channel once it has everything.
//
//     OPEN --reader_follow--> FOLLOWING --reader_await--> AWAITING
//       \                      ^-----------on_news--------/
//        +---------------------+--reader_close--> closed
//
// A reader takes from the journal that all workers share, until it follows the channel: then it is
// a subscriber, and takes from the worker's copy. Between `on_news` and the next `reader_take` the
// replica keeps what the reader has yet to take, so that one that is quick misses nothing of a
// channel that keeps no history. Its owner closes it. One thread, its worker's.
#pragma once

#include "hub/subscriber.h"
#include "sse/start.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct local_hub;
struct replica;

struct reader {
    struct subscriber subscriber;
    struct replica *replica;   // held; NULL once closed
    struct stream_start start; // without ids: where it goes on if its place is lost
    struct start_place place;  // where it begins; with a reason until the reset was taken
    /// There may be something to take, or the channel has ended. May close the reader. Must not
    /// call Lua, nor touch other subscribers.
    void (*on_news)(struct reader *reader);
    bool is_awaiting;
    bool is_told; // and has not taken since
    bool is_poll; // it waits for some time at most
};

/// What a reader has taken. In the worker's scratch memory stands the text of the events, of
/// `events_len` bytes, and behind it that of a reset, if `reason` says so. The scratch memory is
/// used for every event that is published, so the caller takes it apart before he does anything
/// else.
struct taken {
    enum notice_reason reason;
    uint64_t epoch; // of the life that `next` is of
    uint64_t next;  // the first frame that was not taken
    size_t events_len;
    bool has_ended; // nothing follows
    int failure;    // 0, or -ENOMEM: nothing was taken
};

/// Makes a reader of `replica`, which it holds, at the place of `start`. The texts of `start` need
/// not outlive the call.
void reader_open(struct reader *reader, struct replica *replica, const struct stream_start *start);

/// Lets go of the channel. Idempotent. May free the replica.
void reader_close(struct reader *reader);

/// Subscribes until the reader is closed, so that nothing is missed from now on. Does nothing in a
/// channel that is closed.
void reader_follow(struct reader *reader);

/// Has `on_news` called once, when the turn ends in which there is something. The reader has
/// joined.
void reader_await(struct reader *reader);

/// As `reader_await`, for one that waits for some time at most: `readers_end_polls` ends its wait.
void reader_await_as_poll(struct reader *reader);

/// Calls `on_news` of the worker's readers that wait as polls, though there may be nothing: the
/// server stops, and who asked them is to be answered before.
void readers_end_polls(struct local_hub *local);

/// Takes events from the reader's place on, and moves it on: at most `count_max` of them, and at
/// most READER_BYTES_MAX bytes, but one in any case.
struct taken reader_take(struct reader *reader, uint64_t count_max);

enum { READER_BYTES_MAX = 256 * 1024 };

/// Whether something was taken that is to be told.
static inline bool taken_is_news(const struct taken *taken)
{
    return taken->events_len > 0 || taken->reason != NOTICE_NONE || taken->has_ended;
}
