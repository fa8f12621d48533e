// SPDX-License-Identifier: MIT
#include "bench/bench.h"

#include "base/mem.h"
#include "bench/run.h"
#include "bench/scenarios.h"

static void (*const scenarios[SCENARIO_COUNT])(struct run *run) = {
    [SCENARIO_FANOUT] = fanout_run,
    [SCENARIO_FIREHOSE] = firehose_run,
    [SCENARIO_IDLE] = idle_run,
    [SCENARIO_CHURN] = churn_run,
};

int bench_run(int argument_count, char **arguments)
{
    struct options options = {.scenario = SCENARIO_FANOUT};
    switch (options_parse(&options, argument_count, arguments)) {
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_USAGE:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    CHECK(scenarios[options.scenario] != NULL);
    struct run *run = mem_new(struct run);
    run_open(run, &options);
    scenarios[options.scenario](run);
    report_print(&run->report, options_scenario_name(options.scenario), options.requests.url,
                 options.is_json);
    int result = run->report.failure_count > 0 ? 1 : 0;
    mem_free(run);
    return result;
}
