// SPDX-License-Identifier: MIT
//
// The poller, and how its sockets close (see sockets.h). Input: a byte for each choice. A guest
// stands in the set as well, as libuv does in a loop's.
#include "fuzz.h"
#include "sockets.h"

#include <sys/eventfd.h>
#include <unistd.h>

static uint64_t choose(void *chooser, uint64_t count);
static void turn(struct sockets *sockets, int guest, struct bytes *input);
static void end_turn(struct sockets *sockets);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    static struct poller poller;
    int guest = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(guest >= 0 && poller_init(&poller, guest) == 0);
    struct sockets sockets;
    sockets_init(&sockets, &poller, choose, &input);
    while (input.len > 0) {
        turn(&sockets, guest, &input);
    }
    sockets_close(&sockets);
    end_turn(&sockets);
    sockets_deinit(&sockets);
    CHECK(poller.count == 0);
    poller_deinit(&poller);
    close(guest);
    return 0;
}

static uint64_t choose(void *chooser, uint64_t count)
{
    struct bytes *input = chooser;
    return fuzz_byte(input) % count;
}

/// One turn: a few steps, then the events, and in some turns the end of the turn.
static void turn(struct sockets *sockets, int guest, struct bytes *input)
{
    uint8_t how = fuzz_byte(input);
    for (int left = how % 8; left > 0; left--) {
        sockets_step(sockets);
    }
    bool is_guest_ready = how & 8;
    CHECK(eventfd_write(guest, is_guest_ready) == 0);
    bool is_told = how & 16 ? sockets_tell_exactly(sockets) : sockets_tell(sockets);
    CHECK(is_told == is_guest_ready);
    if (is_guest_ready) {
        eventfd_t count;
        CHECK(eventfd_read(guest, &count) == 0);
    }
    if (how & 32) {
        end_turn(sockets);
    }
}

static void end_turn(struct sockets *sockets)
{
    sockets_begin_end(sockets);
    poller_tell_closed(sockets->poller);
    sockets_end(sockets);
}
