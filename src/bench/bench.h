// SPDX-License-Identifier: MIT
//
// `lunesse bench`: a load generator for servers of event streams, this one or any other. It runs in
// one thread and must be faster than what it measures, and it believes nothing: every event is
// looked for at every reader, once and in order. It shares no code with the server above `net`.
#pragma once

/// Runs the command line, whose first word is the program's name, to its end. Returns the exit
/// code: 0, 1 when the measurement failed, 2 for a mistake on the command line.
int bench_run(int argument_count, char **arguments);
