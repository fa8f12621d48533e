// SPDX-License-Identifier: MIT
//
// What is printed to standard output: the program's own lines and what scripts print. Each thread
// has a stream of its own, so that C's functions for files work on it. What is printed is gathered
// there and written by `output_flush` at the end of each turn, or when the stream is flushed. No
// thread waits for the reader: up to 1 MiB of all threads together is kept for it; beyond that,
// text is lost, and the log says how many bytes. The thread that uses a stream ends it with
// `output_finish`.
#pragma once

#include <stdio.h>

/// From now on printing waits for the reader, and nothing is lost. It is for a program that prints
/// something and ends. Called before there are threads.
void output_wait_for_reader(void);

/// The calling thread's stream into standard output.
FILE *output_stream(void);

/// The calling thread's stream into standard error, among the records of the log. It keeps nothing
/// back.
FILE *output_error_stream(void);

/// Writes what was gathered. Never blocks for long.
void output_flush(void);

/// Writes what was gathered and frees what the calling thread has for it.
void output_finish(void);
