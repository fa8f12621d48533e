// SPDX-License-Identifier: MIT
//
// Assertions. CHECK is always on, DCHECK in debug builds only. Both are for our own mistakes: an
// impossible state, a broken invariant. Input from a peer or a script never meets an assertion; the
// function returns an error instead. A failed assertion prints file, line and expression and
// aborts.
#pragma once

#include <stdlib.h>

/// Prints the failed expression and aborts. Called by the macros only.
_Noreturn void check_failed(const char *file, int line, const char *expression);

#define CHECK(expression) ((expression) ? (void)0 : check_failed(__FILE__, __LINE__, #expression))

/// DEBUG_CALL is for invariant functions, which CHECK what must hold between any two calls of a
/// module: in debug builds only.
#ifdef NDEBUG
#define DCHECK(expression) ((void)sizeof((expression) ? 1 : 0))
#define DEBUG_CALL(call) (0 ? (void)(call) : (void)0) // not called, and not unused
#else
#define DCHECK(expression) CHECK(expression)
#define DEBUG_CALL(call) (call)
#endif

#define UNREACHABLE() check_failed(__FILE__, __LINE__, "unreachable")

/// Marks a function whose result must be looked at.
#define MUST_USE __attribute__((warn_unused_result))

/// Spells out that a result is ignored; the reason stands beside it.
#define IGNORE(call)                                                                               \
    do {                                                                                           \
        if (call) {                                                                                \
        }                                                                                          \
    } while (0)

/// The struct of type `type` whose member `member` is at `pointer`.
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
