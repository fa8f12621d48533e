// SPDX-License-Identifier: MIT
//
// What the program prints for the person who starts it. Routes and addresses go to standard output,
// reasons why it cannot start to standard error.
#pragma once

#include <stddef.h>

struct address;
struct generation;
struct limits;
struct listen_socket;

/// One line a route: method, URL (`base` and pattern), source.
void report_routes(const struct generation *generation, const char *base);

/// The routes under the socket's URL, and the line "listening on http://127.0.0.1:3000" or
/// "listening on unix:/path".
void report_listening(const struct generation *generation,
                      const struct listen_socket *listen_socket);

/// Logs what each worker has counted.
void report_counts(size_t worker_count);

/// Warns of each route that no request reaches because `option` gives its `path` to the server.
void report_hidden_routes(const struct generation *generation, const char *option,
                          const char *path);

/// Warns if the scripts at the path `script` have nothing to answer with.
void report_missing_routes(const struct generation *generation, const char *script);

/// Says, after signal `number`, how many connections the server waits for, how long at most, and
/// what ends the waiting.
void report_waiting(size_t conn_count, const struct limits *limits, int number);

/// One line that says why worker `number` of `count` cannot be, and what to do.
void report_worker_failure(unsigned number, size_t count, int failure);

/// One line that says what is wrong with descriptor `fd` of LISTEN_FDS.
void report_inherited_failure(int fd, int failure);

/// Prints why the program cannot listen on the address, and what to do.
void report_listen_failure(const struct address *address, int failure);
