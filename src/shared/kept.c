// SPDX-License-Identifier: MIT
//
// Three things happen to a kept value: it is made from what a caller has (a string is copied here,
// before the store's lock), it is shown to a caller (the string is shared, not copied), and it is
// compared with or added to what a caller has. Integers and floats follow Lua's rules, so a script
// sees the same sum and the same equality as if the number were in its own state.
#include "shared/kept.h"

#include <errno.h>
#include <math.h>

static bool is_number(enum shared_type type);
static bool are_equal(const struct kept *value, const struct shared_value *old);
static bool is_whole(double number, int64_t integer);

int kept_copy(const struct shared_value *value, struct kept *copy)
{
    *copy = (struct kept){.type = value->type};
    switch (value->type) {
    case SHARED_BOOLEAN:
        copy->boolean = value->boolean;
        return 0;
    case SHARED_INTEGER:
    case SHARED_FLOAT:
        *copy = kept_number(value);
        return 0;
    case SHARED_STRING:
        return shared_text_new(value->string, &copy->text);
    }
    UNREACHABLE();
}

struct kept kept_number(const struct shared_value *number)
{
    struct kept kept = {.type = number->type};
    CHECK(is_number(number->type));
    if (number->type == SHARED_INTEGER) {
        kept.integer = number->integer;
    } else {
        kept.number = number->number;
    }
    return kept;
}

void kept_release(const struct kept *value)
{
    if (value->type == SHARED_STRING) {
        shared_text_release(value->text);
    }
}

struct shared_value kept_show(const struct kept *value)
{
    struct shared_value shown = {.type = value->type};
    switch (value->type) {
    case SHARED_BOOLEAN:
        shown.boolean = value->boolean;
        break;
    case SHARED_INTEGER:
        shown.integer = value->integer;
        break;
    case SHARED_FLOAT:
        shown.number = value->number;
        break;
    case SHARED_STRING:
        DCHECK(value->text != NULL);
        shown.text = value->text;
        shown.string = shared_text_bytes(value->text);
        break;
    }
    return shown;
}

int kept_add(const struct kept *number, const struct shared_value *by, struct kept *sum)
{
    bool is_integer = number->type == SHARED_INTEGER;
    if (!is_integer && number->type != SHARED_FLOAT) {
        return -EINVAL;
    }
    if (is_integer && by->type == SHARED_INTEGER) {
        *sum = (struct kept){.type = SHARED_INTEGER};
        bool is_over = __builtin_add_overflow(number->integer, by->integer, &sum->integer);
        return is_over ? -ERANGE : 0;
    }
    DCHECK(is_number(by->type));
    double from = is_integer ? (double)number->integer : number->number;
    double more = by->type == SHARED_INTEGER ? (double)by->integer : by->number;
    *sum = (struct kept){.type = SHARED_FLOAT, .number = from + more};
    return isfinite(sum->number) ? 0 : -ERANGE;
}

int kept_match(const struct kept *value, const struct shared_value *old,
               const struct shared_text *seen)
{
    if (value == NULL || old == NULL) {
        return value == NULL && old == NULL ? 0 : -ESTALE;
    }
    if (value->type == SHARED_STRING && old->type == SHARED_STRING) {
        DCHECK(value->text != NULL);
        if (value->text == seen) {
            return 0;
        }
        return value->text->len == old->string.len ? -EAGAIN : -ESTALE;
    }
    return are_equal(value, old) ? 0 : -ESTALE;
}

static bool is_number(enum shared_type type)
{
    return type == SHARED_INTEGER || type == SHARED_FLOAT;
}

/// Compares two values that are not both strings.
static bool are_equal(const struct kept *value, const struct shared_value *old)
{
    if (value->type == SHARED_BOOLEAN && old->type == SHARED_BOOLEAN) {
        return value->boolean == old->boolean;
    }
    if (!is_number(value->type) || !is_number(old->type)) {
        return false;
    }
    if (value->type == old->type) {
        return value->type == SHARED_INTEGER ? value->integer == old->integer
                                             : value->number == old->number;
    }
    return value->type == SHARED_FLOAT ? is_whole(value->number, old->integer)
                                       : is_whole(old->number, value->integer);
}

/// Whether a float has exactly the value of that integer. A float beyond 64 bits has none, and its
/// conversion would be undefined.
static bool is_whole(double number, int64_t integer)
{
    static const double bound = 9223372036854775808.0; // 2^63
    return number >= -bound && number < bound && (int64_t)number == integer &&
           (double)(int64_t)number == number;
}
