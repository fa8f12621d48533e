// SPDX-License-Identifier: MIT
//
// What debug builds assert of the hub and of a generation is asserted: each misuse aborts, in a
// child process of its own.
#ifndef NDEBUG
#include "rig.h"
#include "unit.h"

#include "hub/channel.h"
#include "hub/replica.h"
#include "script/generation.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void *hold(void *replica)
{
    replica_hold(replica);
    return NULL;
}

static void *load_beside(void *generation)
{
    generation_load_beside(generation);
    return NULL;
}

static void run_elsewhere(void *(*fn)(void *arg), void *arg)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fn, arg) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void use_replica_elsewhere(struct rig *rig, struct replica *replica)
{
    (void)rig;
    run_elsewhere(hold, replica);
}

static void use_generation_elsewhere(struct rig *rig, struct replica *replica)
{
    (void)replica;
    run_elsewhere(load_beside, rig->engine.workers[0].generations.current);
}

static void close_without_lock(struct rig *rig, struct replica *replica)
{
    (void)rig;
    channel_close(replica->channel);
}

static void break_channel(struct rig *rig, struct replica *replica)
{
    replica->channel->base_bytes++;
    hub_lock(&rig->engine.hub);
    channel_check(replica->channel);
}

static void break_journal(struct rig *rig, struct replica *replica)
{
    (void)rig;
    replica->journal.next++; // a frame for which there is no ring
    journal_check(&replica->journal);
}

/// Whether `misuse` ends the process. Without one the process ends by itself.
static bool aborts(void (*misuse)(struct rig *rig, struct replica *replica))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        static struct rig rig;
        rig_init(&rig, "kept = require 'lunesse'.channel 'room'", 1);
        rig_open_worker(&rig, 0);
        CHECK(unlink(rig.script_path) == 0);
        struct replica *replica = local_hub_find(&rig.engine.workers[0].local_hub, BYTES("room"));
        signal(SIGABRT, SIG_DFL);
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC); // the message is expected
        if (quiet >= 0 && dup2(quiet, STDERR_FILENO) >= 0 && misuse != NULL) {
            misuse(&rig, replica);
        }
        _exit(0);
    }
    EXPECT(child > 0);
    EXPECT_INT(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(misuse_aborts_in_a_debug_build)
{
    EXPECT(!aborts(NULL));
    EXPECT(aborts(use_replica_elsewhere));
    EXPECT(aborts(use_generation_elsewhere));
    EXPECT(aborts(close_without_lock));
    EXPECT(aborts(break_channel));
    EXPECT(aborts(break_journal));
}
#endif
