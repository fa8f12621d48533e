// SPDX-License-Identifier: MIT
#include "bench/progress.h"

#include "base/check.h"
#include "net/loop.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 30 };

static double share_done(const struct progress *progress, uint64_t now_ns, uint64_t count);

void progress_init(struct progress *progress)
{
    *progress = (struct progress){._is_shown = isatty(STDERR_FILENO) == 1};
}

void progress_begin(struct progress *progress, const char *what, const uint64_t *count,
                    uint64_t goal, double seconds)
{
    uint64_t now_ns = clock_machine_ns();
    CHECK(what != NULL);
    CHECK(goal == 0 || count != NULL);
    progress->_what = what;
    progress->_count = count;
    progress->_goal = goal;
    progress->_begun_ns = now_ns;
    progress->_until_ns = now_ns + (uint64_t)(seconds * 1e9);
    progress->_last_ns = now_ns;
    progress->_last_count = count == NULL ? 0 : *count;
}

void progress_draw(struct progress *progress)
{
    static const char bar[] = "##############################..............................";
    static_assert(sizeof(bar) == 2 * BAR_WIDTH + 1, "from empty to full");
    uint64_t now_ns = clock_machine_ns();
    uint64_t count = progress->_count == NULL ? 0 : *progress->_count;
    if (!progress->_is_shown || progress->_what == NULL || now_ns == progress->_last_ns) {
        return;
    }
    double share = share_done(progress, now_ns, count);
    double rate =
        (double)(count - progress->_last_count) * 1e9 / (double)(now_ns - progress->_last_ns);
    fprintf(stderr, "\r%-12s [%.*s] %3.0f %%", progress->_what, BAR_WIDTH,
            bar + BAR_WIDTH - (int)(share * BAR_WIDTH), share * 100);
    if (progress->_count != NULL) {
        fprintf(stderr, " %12.0f /s", rate);
    }
    fputs("\x1b[K", stderr); // what a longer line left behind
    progress->_last_ns = now_ns;
    progress->_last_count = count;
}

void progress_end(struct progress *progress)
{
    if (progress->_is_shown && progress->_what != NULL) {
        fputs("\r\x1b[K", stderr);
    }
    progress->_what = NULL;
}

static double share_done(const struct progress *progress, uint64_t now_ns, uint64_t count)
{
    double share = 1;
    if (progress->_goal > 0) {
        share = (double)count / (double)progress->_goal;
    } else if (progress->_until_ns > progress->_begun_ns) {
        share = (double)(now_ns - progress->_begun_ns) /
                (double)(progress->_until_ns - progress->_begun_ns);
    }
    return share > 1 ? 1 : share;
}
