// SPDX-License-Identifier: MIT
#include "base/owner.h"
#include "net/loop.h"
#include "net/timer.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *look(void *owner);
static bool is_owned_by_another_thread(struct owner *owner);

TEST(owner_is_the_thread_that_has_taken_it)
{
    struct owner owner;
    memset(&owner, 0, sizeof(owner));
    EXPECT(owner_is_here(&owner) && is_owned_by_another_thread(&owner)); // nobody has
    owner_take(&owner);
    EXPECT(owner_is_here(&owner));
#ifndef NDEBUG
    EXPECT(!is_owned_by_another_thread(&owner));
#endif
}

#ifdef NDEBUG
TEST(owner_has_no_bytes_in_a_release_build)
{
    EXPECT_INT(sizeof(struct owner), 0);
}
#else
static void *arm(void *loop)
{
    struct timer timer;
    timer_init(&timer, &((struct loop *)loop)->timers, NULL);
    timer_arm(&timer, 1000);
    return NULL;
}

/// Calls the check in a child process, because it aborts.
TEST(owner_check_aborts_in_another_thread)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct loop loop;
        pthread_t thread;
        signal(SIGABRT, SIG_DFL);
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC); // the message is expected
        if (quiet >= 0 && dup2(quiet, STDERR_FILENO) >= 0 && loop_init(&loop) == 0 &&
            pthread_create(&thread, NULL, arm, &loop) == 0) {
            (void)pthread_join(thread, NULL);
        }
        _exit(0);
    }
    EXPECT(child > 0);
    EXPECT_INT(waitpid(child, &status, 0), child);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
#endif

static void *look(void *owner)
{
    return owner_is_here(owner) ? owner : NULL;
}

static bool is_owned_by_another_thread(struct owner *owner)
{
    pthread_t thread;
    void *seen = NULL;
    EXPECT_INT(pthread_create(&thread, NULL, look, owner), 0);
    EXPECT_INT(pthread_join(thread, &seen), 0);
    return seen != NULL;
}
