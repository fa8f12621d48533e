// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/error.h"
#include "http/fields.h"

#include <string.h>

static void add(struct fields *fields, const char *name, const char *value)
{
    EXPECT_INT(fields_add(fields, bytes_from_string(name), bytes_from_string(value)), 0);
}

/// Expects the fields to be `wanted`: "name=value;" for each.
static void expect_fields(const struct fields *fields, const char *wanted)
{
    struct bytes rest = fields_packed(fields);
    struct field field;
    struct buf text;
    size_t size = 0;
    buf_init(&text, SIZE_MAX);
    while (fields_next(&rest, &field)) {
        EXPECT(buf_append(&text, field.name) && buf_append(&text, BYTES("=")) &&
               buf_append(&text, field.value) && buf_append(&text, BYTES(";")));
        size += FIELD_OVERHEAD + field.name.len + field.value.len;
    }
    EXPECT_BYTES(buf_bytes(&text), bytes_from_string(wanted));
    EXPECT_INT(fields_size(fields), size);
    buf_reset(&text);
}

TEST(fields_are_found_and_removed_by_any_case_of_their_name)
{
    struct fields fields;
    struct bytes value;
    fields_init(&fields);
    fields_remove(&fields, BYTES("a"));
    add(&fields, "Set-Cookie", "1");
    add(&fields, "A", "");
    add(&fields, "set-cookie", "2");
    EXPECT(fields_find(&fields, BYTES("SET-COOKIE"), &value));
    EXPECT_BYTES(value, BYTES("1"));
    fields_remove(&fields, BYTES("Set-cookie"));
    expect_fields(&fields, "A=;");
    EXPECT(!fields_find(&fields, BYTES("Set-Cookie"), &value));
    fields_deinit(&fields);
}

TEST(kept_fields_are_restored_as_they_were)
{
    struct fields fields;
    struct bytes value;
    fields_init(&fields);
    add(&fields, "A", "1");
    add(&fields, "B", "2");
    add(&fields, "a", "3");
    fields_keep(&fields);
    add(&fields, "C", "4");
    fields_remove(&fields, BYTES("A"));
    fields_remove(&fields, BYTES("A"));
    EXPECT(!fields_find(&fields, BYTES("A"), &value));
    EXPECT(!fields_find(&fields, BYTES("\xc1"), &value)); // an A that is hidden
    add(&fields, "A", "5");
    fields_remove(&fields, BYTES("C"));
    expect_fields(&fields, "B=2;A=5;");
    fields_restore(&fields);
    expect_fields(&fields, "A=1;B=2;a=3;");
    fields_remove(&fields, BYTES("B"));
    fields_keep(&fields);
    fields_restore(&fields);
    expect_fields(&fields, "A=1;a=3;");
    fields_deinit(&fields);
}

TEST(hidden_fields_leave_room_for_as_much_as_they_take)
{
    struct fields fields;
    char text[FIELDS_BYTES_MAX];
    memset(text, 'x', sizeof(text));
    struct bytes value = bytes_of(text, FIELDS_BYTES_MAX - FIELD_OVERHEAD - 1);
    fields_init(&fields);
    for (int i = 0; i < 3; i++) {
        EXPECT_INT(fields_add(&fields, BYTES("A"), value), 0);
        EXPECT_INT(fields_add(&fields, BYTES("B"), BYTES("")), FIELDS_TOO_LARGE);
        if (i == 0) {
            fields_keep(&fields);
        }
        fields_remove(&fields, BYTES("A"));
        expect_fields(&fields, "");
    }
    fields_restore(&fields);
    EXPECT_INT(fields_size(&fields), FIELDS_BYTES_MAX);
    fields_deinit(&fields);
}
