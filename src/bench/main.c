// SPDX-License-Identifier: MIT
//
// The load generator as a program, `lunesse-bench`, which `lunesse bench` becomes.
#include "base/outlet.h"
#include "bench/bench.h"

int main(int argument_count, char **arguments)
{
    outlet_ensure_standard();
    return bench_run(argument_count, arguments);
}
