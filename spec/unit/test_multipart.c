// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/multipart.h"

enum { HEAD_BYTES_MAX = 100 };

/// Puts what the reader tells of `text`, fed `step` bytes at a time, to `out`: "{head}" for a
/// head, content as it is, "|" for the end of a part, "." for the end, "!" where it is broken.
static void read_all(struct bytes text, const char *boundary, size_t step, struct buf *out)
{
    struct multipart reader;
    struct bytes input = bytes_of(text.at, 0);
    struct bytes piece;
    multipart_init(&reader, bytes_from_string(boundary), HEAD_BYTES_MAX);
    for (size_t seen = 0;;) {
        switch (multipart_next(&reader, &input, &piece)) {
        case MULTIPART_MORE:
            if (seen == text.len) {
                return;
            }
            size_t count = text.len - seen < step ? text.len - seen : step;
            input.len += count;
            seen += count;
            break;
        case MULTIPART_HEAD:
            EXPECT(buf_append(out, BYTES("{")) && buf_append(out, piece) &&
                   buf_append(out, BYTES("}")));
            break;
        case MULTIPART_DATA:
            EXPECT(piece.len > 0 && buf_append(out, piece));
            break;
        case MULTIPART_PART_END:
            EXPECT(buf_append(out, BYTES("|")));
            break;
        case MULTIPART_END:
            EXPECT(buf_append(out, BYTES(".")));
            EXPECT(input.len == 0);
            return;
        case MULTIPART_BROKEN:
            EXPECT(reader.why != NULL && buf_append(out, BYTES("!")));
            return;
        }
    }
}

/// Holds what is read of `text` in every cut.
static void expect_parts(const char *text, const char *wanted)
{
    struct bytes bytes = bytes_from_string(text);
    for (size_t step = 1; step <= bytes.len; step++) {
        struct buf out;
        buf_init(&out, 10000);
        read_all(bytes, "simple boundary", step, &out);
        EXPECT_BYTES(buf_bytes(&out), bytes_from_string(wanted));
        buf_reset(&out);
    }
}

static void expect_boundary(const char *type, const char *wanted)
{
    struct bytes boundary = BYTES("");
    bool is_found = multipart_boundary(bytes_from_string(type), &boundary);
    EXPECT(is_found == (wanted != NULL));
    if (is_found) {
        EXPECT_BYTES(boundary, bytes_from_string(wanted));
    }
}

static void expect_names(const char *value, const char *name, const char *filename)
{
    struct multipart_name names[2];
    const char *wanted[] = {name, filename};
    char text[100];
    EXPECT(multipart_disposition(bytes_from_string(value), &names[0], &names[1]));
    for (int i = 0; i < 2; i++) {
        EXPECT(names[i].is_given == (wanted[i] != NULL));
        if (wanted[i] != NULL) {
            EXPECT_BYTES(bytes_of(text, multipart_decode_name(&names[i], text)),
                         bytes_from_string(wanted[i]));
        }
    }
}

static bool is_disposition(const char *value)
{
    struct multipart_name name;
    struct multipart_name filename;
    return multipart_disposition(bytes_from_string(value), &name, &filename);
}

TEST(the_example_of_rfc_2046_is_read_as_it_says)
{
    expect_parts("This is the preamble.  It is to be ignored, though it\r\n"
                 "is a handy place for composition agents to include an\r\n"
                 "explanatory note to non-MIME conformant readers.\r\n"
                 "\r\n"
                 "--simple boundary\r\n"
                 "\r\n"
                 "This is implicitly typed plain US-ASCII text.\r\n"
                 "It does NOT end with a linebreak.\r\n"
                 "--simple boundary\r\n"
                 "Content-type: text/plain; charset=us-ascii\r\n"
                 "\r\n"
                 "This is explicitly typed plain US-ASCII text.\r\n"
                 "It DOES end with a linebreak.\r\n"
                 "\r\n"
                 "--simple boundary--\r\n"
                 "\r\n"
                 "This is the epilogue.  It is also to be ignored.\r\n",
                 "{}This is implicitly typed plain US-ASCII text.\r\n"
                 "It does NOT end with a linebreak.|"
                 "{Content-type: text/plain; charset=us-ascii\r\n}"
                 "This is explicitly typed plain US-ASCII text.\r\n"
                 "It DOES end with a linebreak.\r\n|.");
}

TEST(the_parts_of_a_form_are_read)
{
    // RFC 7578, section 4.6, with the boundary of the other examples.
    expect_parts("--simple boundary\r\n"
                 "content-disposition: form-data; name=\"_charset_\"\r\n\r\n"
                 "iso-8859-1\r\n"
                 "--simple boundary\r\n"
                 "content-disposition: form-data; name=\"field1\"\r\n\r\n"
                 "...text_encoded_in_iso_8859_1...\r\n"
                 "--simple boundary--",
                 "{content-disposition: form-data; name=\"_charset_\"\r\n}iso-8859-1|"
                 "{content-disposition: form-data; name=\"field1\"\r\n}"
                 "...text_encoded_in_iso_8859_1...|.");
}

TEST(what_only_looks_like_a_boundary_is_content)
{
    expect_parts("--simple boundary \t\r\na:b\r\n\r\n\r\n--simple\r\n\r\r\n--simple boundar\r\n"
                 "--simple boundary--",
                 "{a:b\r\n}\r\n--simple\r\n\r\r\n--simple boundar|.");
    expect_parts("--simple boundary\r\na:b\r\n\r\n\n--simple boundary\r\n--simple boundary--",
                 "{a:b\r\n}\n--simple boundary|.");
}

TEST(a_part_may_be_empty_and_so_may_a_body)
{
    expect_parts("--simple boundary\r\na:b\r\n\r\n\r\n--simple boundary--", "{a:b\r\n}|.");
    expect_parts("--simple boundary\r\na:b\r\n\r\n--simple boundary--", "{a:b\r\n}|.");
    expect_parts("--simple boundary--", ".");
    expect_parts("\r\n--simple boundary--\r\n", ".");
}

TEST(what_the_grammar_does_not_allow_is_refused)
{
    expect_parts("--simple boundaryx\r\na:b\r\n\r\n", "!");
    expect_parts("--simple boundary\ra:b\r\n\r\n", "!");
    expect_parts("--simple boundary-x", "!");
    expect_parts("--simple boundary\r\nab\r\n\r\n", "!");
    expect_parts("--simple boundary\r\na b: c\r\n\r\n", "!");
    expect_parts("--simple boundary\r\na: b\r\n c\r\n\r\n", "!");
    expect_parts("--simple boundary\r\na: b\n\r\n\r\n", "!");
    expect_parts("--simple boundary\r\na: b\x01\r\n\r\n", "!");
}

TEST(a_head_that_is_too_large_is_refused_before_it_is_complete)
{
    struct multipart reader;
    struct bytes piece;
    char head[HEAD_BYTES_MAX + 10];
    memset(head, 'a', sizeof(head));
    multipart_init(&reader, BYTES("x"), HEAD_BYTES_MAX);
    struct bytes input = BYTES("--x\r\n");
    EXPECT(multipart_next(&reader, &input, &piece) == MULTIPART_MORE && input.len == 0);
    input = bytes_of(head, HEAD_BYTES_MAX);
    EXPECT(multipart_next(&reader, &input, &piece) == MULTIPART_MORE);
    input = bytes_of(head, HEAD_BYTES_MAX + 2);
    EXPECT(multipart_next(&reader, &input, &piece) == MULTIPART_BROKEN && reader.is_too_large);
    EXPECT(multipart_next(&reader, &input, &piece) == MULTIPART_BROKEN);
}

TEST(a_head_of_the_largest_size_is_taken_in_every_cut)
{
    for (size_t seen = 0; seen <= HEAD_BYTES_MAX + 2; seen++) {
        struct multipart reader;
        struct bytes piece;
        char head[HEAD_BYTES_MAX + 2];
        memset(head, 'a', sizeof(head));
        head[1] = ':';
        memcpy(head + HEAD_BYTES_MAX - 2, "\r\n\r\n", 4);
        multipart_init(&reader, BYTES("x"), HEAD_BYTES_MAX);
        struct bytes input = BYTES("--x\r\n");
        EXPECT(multipart_next(&reader, &input, &piece) == MULTIPART_MORE);
        input = bytes_of(head, seen);
        bool is_whole = seen == sizeof(head);
        EXPECT(multipart_next(&reader, &input, &piece) ==
               (is_whole ? MULTIPART_HEAD : MULTIPART_MORE));
        EXPECT(!is_whole || piece.len == HEAD_BYTES_MAX);
    }
}

TEST(a_boundary_is_one_that_rfc_2046_allows)
{
    expect_boundary("multipart/form-data; boundary=AaB03x", "AaB03x");
    expect_boundary(" Multipart/FORM-data ;\tcharset=utf-8; Boundary=\"gc0p4Jq0M:2Yt08jU534c0p\" ;",
                    "gc0p4Jq0M:2Yt08jU534c0p");
    expect_boundary("multipart/form-data; boundary=a; boundary=b", "a");
    expect_boundary("multipart/form-data; boundary=\"a b\"", "a b");
    expect_boundary("multipart/form-data", NULL);
    expect_boundary("multipart/form-data; boundary=", NULL);
    expect_boundary("multipart/form-data; boundary=\"\"", NULL);
    expect_boundary("multipart/form-data; boundary=\"a ", NULL);
    expect_boundary("multipart/form-data; boundary=\"a \"", NULL);
    expect_boundary("multipart/form-data; boundary=\"a\\\"b\"", NULL);
    expect_boundary("multipart/form-data; boundary=a b", NULL);
    expect_boundary("multipart/mixed; boundary=a", NULL);
    expect_boundary("multipart; boundary=a", NULL);
    expect_boundary("", NULL);
    expect_boundary("multipart/form-data; boundary="
                    "1234567890123456789012345678901234567890123456789012345678901234567890",
                    "1234567890123456789012345678901234567890123456789012345678901234567890");
    expect_boundary("multipart/form-data; boundary="
                    "12345678901234567890123456789012345678901234567890123456789012345678901",
                    NULL);
}

TEST(the_names_of_a_part_are_read_as_browsers_and_others_write_them)
{
    expect_names("form-data; name=\"user\"", "user", NULL);
    expect_names("Form-Data;name=field1;filename=a.txt", "field1", "a.txt");
    expect_names("form-data; name=\"a%22b%0d%0Ac\"; filename=\"x%20.txt\"", "a\"b\r\nc",
                 "x%20.txt");
    expect_names("form-data; name=\"a\\\"b\\\\c\"; filename=\"C:\\\\d\\e\"", "a\"b\\c", "C:\\d\\e");
    expect_names("form-data; name=\"\xC3\xA9\"; filename=\"\"", "\xC3\xA9", "");
    expect_names("form-data; filename*=UTF-8''x; name=\"a\"; x=\"y\"", "a", NULL);
    expect_names("form-data; name=\"a\"; name=\"b\"", "a", NULL);
    expect_names("form-data", NULL, NULL);
    EXPECT(!is_disposition("attachment; name=\"a\""));
    EXPECT(!is_disposition("form-data; name=\"a"));
    EXPECT(!is_disposition("form-data; name=a b"));
    EXPECT(!is_disposition("form-data, name=a"));
    EXPECT(!is_disposition(""));
}

TEST(fields_are_taken_one_by_one)
{
    struct bytes head = BYTES("A: b\r\nc:\r\nd:\t e f \r\n");
    struct bytes name;
    struct bytes value;
    EXPECT(multipart_field(&head, &name, &value));
    EXPECT_BYTES(name, BYTES("A"));
    EXPECT_BYTES(value, BYTES("b"));
    EXPECT(multipart_field(&head, &name, &value) && value.len == 0);
    EXPECT(multipart_field(&head, &name, &value));
    EXPECT_BYTES(value, BYTES("e f"));
    EXPECT(!multipart_field(&head, &name, &value));
}
