// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/guard.h"

#include <string.h>

enum { HEAD_MAX = 2000 };

static const struct head_limits plenty = {.bytes = HEAD_MAX, .fields = 100, .target_bytes = 500};

/// The verdict of a guard on a head.
struct verdict {
    enum guard_result result;
    size_t taken;
    const char *why;
    char rewritten[HEAD_MAX + 100];
};

/// Feeds `head` in pieces: the first of `first` bytes, the others of `step`.
static struct verdict judge(struct bytes head, const struct head_limits *limits, size_t first,
                            size_t step)
{
    struct verdict verdict = {.result = GUARD_MORE};
    struct head_guard guard;
    head_guard_init(&guard);
    memcpy(verdict.rewritten, head.at, head.len);
    for (size_t size = first; verdict.taken < head.len && verdict.result == GUARD_MORE;
         size = step) {
        size_t left = head.len - verdict.taken;
        size_t taken;
        verdict.result = head_guard_take(&guard, verdict.rewritten + verdict.taken,
                                         size < left ? size : left, limits, &taken);
        verdict.taken += taken;
    }
    EXPECT_INT(guard.byte_count, verdict.taken);
    verdict.why = guard.why;
    return verdict;
}

static void expect_same(const struct verdict *a, const struct verdict *b, struct bytes head)
{
    EXPECT_INT(a->result, b->result);
    EXPECT_INT(a->taken, b->taken);
    EXPECT(a->why == b->why);
    EXPECT_BYTES(bytes_of(a->rewritten, head.len), bytes_of(b->rewritten, head.len));
}

/// Judges `head` whole, byte by byte and in every cut. All verdicts must be the same.
static struct verdict judge_every_cut(struct bytes head, const struct head_limits *limits)
{
    struct verdict whole = judge(head, limits, head.len, head.len);
    struct verdict bytewise = judge(head, limits, 1, 1);
    expect_same(&whole, &bytewise, head);
    for (size_t cut = 1; cut < head.len; cut++) {
        struct verdict halves = judge(head, limits, cut, head.len);
        expect_same(&whole, &halves, head);
    }
    EXPECT((whole.result == GUARD_BAD) == (whole.why != NULL));
    return whole;
}

static void expect_head(struct bytes head, enum guard_result wanted)
{
    struct verdict verdict = judge_every_cut(head, &plenty);
    EXPECT_INT(verdict.result, wanted);
    if (wanted == GUARD_DONE) {
        EXPECT_INT(verdict.taken, head.len);
    }
}

static void expect_why(struct bytes head, const char *part)
{
    struct verdict verdict = judge_every_cut(head, &plenty);
    EXPECT_INT(verdict.result, GUARD_BAD);
    EXPECT(verdict.why != NULL && strstr(verdict.why, part) != NULL);
}

TEST(the_head_of_the_standard_passes)
{
    expect_head(BYTES("GET /hello.txt HTTP/1.1\r\n"
                      "User-Agent: curl/7.64.1\r\n"
                      "Host: www.example.com\r\n"
                      "Accept-Language: en, mi\r\n"
                      "\r\n"),
                GUARD_DONE);
}

TEST(every_legal_oddity_of_a_head_passes)
{
    expect_head(BYTES("GET / HTTP/1.0\r\n\r\n"), GUARD_DONE);
    expect_head(BYTES("OPTIONS * HTTP/1.1\r\n\r\n"), GUARD_DONE);
    expect_head(BYTES("!#$%&'*+-.^_`|~09AZaz http://a/?\"<> HTTP/1.1\r\n\r\n"), GUARD_DONE);
    expect_head(BYTES("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), GUARD_DONE);
    expect_head(BYTES("GET / HTTP/1.1\r\na:\r\nb: \r\nc:\t\r\nd:x\r\n\r\n"), GUARD_DONE);
    expect_head(BYTES("GET / HTTP/1.1\r\na: \x80\xff \t \"x\\\"\"\t\r\n\r\n"), GUARD_DONE);
    expect_head(BYTES("GET / HTTP/1.1\r\n!#$%&'*+-.^_`|~09AZaz: y\r\n\r\n"), GUARD_DONE);
}

TEST(an_unfinished_head_wants_more)
{
    struct bytes head = BYTES("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t len = 0; len < head.len; len++) {
        struct verdict verdict = judge(bytes_of(head.at, len), &plenty, 1, 3);
        EXPECT_INT(verdict.result, GUARD_MORE);
        EXPECT_INT(verdict.taken, len);
    }
}

TEST(bytes_behind_a_head_are_not_taken)
{
    struct bytes head = BYTES("GET / HTTP/1.1\r\n\r\nGET /next");
    struct verdict verdict = judge_every_cut(head, &plenty);
    EXPECT_INT(verdict.result, GUARD_DONE);
    EXPECT_INT(verdict.taken, 18);
}

TEST(a_malformed_request_line_is_refused)
{
    expect_why(BYTES(" GET / HTTP/1.1\r\n\r\n"), "section 3)");
    expect_why(BYTES("\tGET / HTTP/1.1\r\n\r\n"), "section 3)");
    expect_why(BYTES("\nGET / HTTP/1.1\r\n\r\n"), "section 3)");
    expect_why(BYTES(":GET / HTTP/1.1\r\n\r\n"), "section 3)");
    expect_why(BYTES("\xc3 / HTTP/1.1\r\n\r\n"), "section 3)");
    expect_why(BYTES("G@T / HTTP/1.1\r\n\r\n"), "section 3.1");
    expect_why(BYTES("GET\t/ HTTP/1.1\r\n\r\n"), "section 3.1");
    expect_why(BYTES("GET\r\n\r\n"), "section 3.1");
    expect_why(BYTES("GET  / HTTP/1.1\r\n\r\n"), "section 3.2");
    expect_why(BYTES("GET /\r\n"), "section 3.2");
    expect_why(BYTES("GET /\tHTTP/1.1\r\n\r\n"), "section 3.2");
    expect_why(BYTES("GET /\x7f HTTP/1.1\r\n\r\n"), "section 3.2");
    expect_why(BYTES("GET /\x80 HTTP/1.1\r\n\r\n"), "section 3.2");
    expect_why(BYTES("GET /  HTTP/1.1\r\n\r\n"), "section 2.3");
    expect_why(BYTES("GET / \r\n\r\n"), "section 2.3");
    expect_why(BYTES("GET / HTTP/1.1 \r\n\r\n"), "section 3)");
    expect_why(BYTES("GET / HTTP/1.1\n\n"), "section 3)");
    expect_why(BYTES("GET / HTTP/1.1\r\r\n\r\n"), "section 3)");
}

TEST(empty_lines_before_a_request_are_crlf_and_at_most_eight)
{
    expect_why(BYTES("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), "section 2.2");
    expect_why(BYTES("\rGET / HTTP/1.1\r\n\r\n"), "section 2.2");
    expect_why(BYTES("\r\r\nGET / HTTP/1.1\r\n\r\n"), "section 2.2");
}

TEST(a_version_is_exact_and_only_ours_are_spoken)
{
    expect_head(BYTES("GET / HTTP/2.0\r\n"), GUARD_BAD_VERSION);
    expect_head(BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), GUARD_BAD_VERSION);
    expect_head(BYTES("GET / HTTP/1.2\r\n"), GUARD_BAD_VERSION);
    expect_head(BYTES("GET / HTTP/0.9\r\n"), GUARD_BAD_VERSION);
    expect_head(BYTES("GET / HTTP/9.1\r\n"), GUARD_BAD_VERSION);
    expect_head(BYTES("GET / HTTP/1.10\r\n"), GUARD_BAD);
    expect_head(BYTES("GET / HTTP/10.1\r\n"), GUARD_BAD);
    expect_head(BYTES("GET / HTTP/1\r\n"), GUARD_BAD);
    expect_head(BYTES("GET / HTTP/1.\r\n"), GUARD_BAD);
    expect_head(BYTES("GET / HTTP/1,1\r\n"), GUARD_BAD);
    expect_head(BYTES("GET / HTTP/x.1\r\n"), GUARD_BAD);
    expect_head(BYTES("GET / http/1.1\r\n"), GUARD_BAD);
    expect_head(BYTES("GET / HTTP 1.1\r\n"), GUARD_BAD);
    expect_head(BYTES("GET / RTSP/1.0\r\n"), GUARD_BAD);
    expect_head(BYTES("GET / HTTP/2.0\r\r"), GUARD_BAD);
}

#define LINE "GET / HTTP/1.1\r\n"

TEST(a_malformed_field_line_is_refused)
{
    expect_why(BYTES(LINE " a: b\r\n\r\n"), "section 5.2");
    expect_why(BYTES(LINE "a: b\r\n c\r\n\r\n"), "section 5.2");
    expect_why(BYTES(LINE "a: b\r\n\tc\r\n\r\n"), "section 5.2");
    expect_why(BYTES(LINE ": b\r\n\r\n"), "section 5)");
    expect_why(BYTES(LINE "\n"), "section 5)");
    expect_why(BYTES(LINE "a : b\r\n\r\n"), "section 5.1");
    expect_why(BYTES(LINE "a\t: b\r\n\r\n"), "section 5.1");
    expect_why(BYTES(LINE "a\r\n\r\n"), "section 5.1");
    expect_why(BYTES(LINE "a(b): c\r\n\r\n"), "section 5.1");
    expect_why(BYTES(LINE "a\x80: c\r\n\r\n"), "section 5.1");
    expect_why(BYTES(LINE "a: b\n\r\n"), "section 2.2");
    expect_why(BYTES(LINE "a: b\rc\r\n\r\n"), "section 2.2");
    expect_why(BYTES(LINE "a:\rc\r\n\r\n"), "section 2.2");
    expect_why(BYTES(LINE "a: b\r\n\rX"), "section 2.2");
    expect_why(BYTES(LINE "a: b\0c\r\n\r\n"), "section 5.5");
    expect_why(BYTES(LINE "a: b\x7f\r\n\r\n"), "section 5.5");
}

TEST(every_byte_of_a_field_value_is_judged_at_every_place)
{
    char head[] = LINE "a: 0123456789abcdef0123\r\n\r\n";
    size_t start = sizeof(LINE) - 1 + 3;
    for (int byte = 0; byte < 256; byte++) {
        bool is_legal = (byte >= 0x20 && byte != 0x7f) || byte == '\t';
        for (size_t place = start; place < start + 20; place++) {
            char kept = head[place];
            head[place] = (char)byte;
            struct bytes text = bytes_of(head, sizeof(head) - 1);
            struct verdict verdict = judge(text, &plenty, text.len, 1);
            EXPECT_INT(verdict.result, is_legal ? GUARD_DONE : GUARD_BAD);
            size_t taken = is_legal ? text.len : byte == '\r' ? place + 1 : place;
            EXPECT_INT(verdict.taken, taken);
            head[place] = kept;
        }
    }
}

TEST(tabs_around_a_value_become_spaces_and_those_inside_stay)
{
    struct bytes head = BYTES(LINE "a:\t \tb\tc \t\t\r\nd:\t\t\r\ne:\"\t\"\t\r\n\r\n");
    struct bytes wanted = BYTES(LINE "a:   b\tc   \r\nd:  \r\ne:\"\t\" \r\n\r\n");
    struct verdict verdict = judge_every_cut(head, &plenty);
    EXPECT_INT(verdict.result, GUARD_DONE);
    EXPECT_BYTES(bytes_of(verdict.rewritten, head.len), wanted);
}

/// `head` passes under `limits` and, with `*limit` one lower, gets `wanted`.
static void expect_limit(struct bytes head, struct head_limits *limits, uint64_t *limit,
                         enum guard_result wanted)
{
    struct verdict within = judge_every_cut(head, limits);
    EXPECT_INT(within.result, GUARD_DONE);
    (*limit)--;
    struct verdict beyond = judge_every_cut(head, limits);
    EXPECT_INT(beyond.result, wanted);
    (*limit)++;
}

TEST(each_limit_of_a_head_is_met_exactly)
{
    struct bytes head = BYTES("\r\nGET /1234 HTTP/1.1\r\na: b\r\nc: d\r\n\r\n");
    struct head_limits limits = {.bytes = head.len, .fields = 2, .target_bytes = 5};
    expect_limit(head, &limits, &limits.bytes, GUARD_HEAD_TOO_LARGE);
    expect_limit(head, &limits, &limits.fields, GUARD_TOO_MANY_FIELDS);
    expect_limit(head, &limits, &limits.target_bytes, GUARD_TARGET_TOO_LONG);
}

TEST(a_long_target_is_told_before_it_is_complete_and_before_the_head_is_too_large)
{
    struct head_limits limits = {.bytes = 9, .fields = 2, .target_bytes = 5};
    struct verdict verdict = judge_every_cut(BYTES("GET /12345"), &limits);
    EXPECT_INT(verdict.result, GUARD_TARGET_TOO_LONG);
    EXPECT_INT(verdict.taken, 9);
    verdict = judge_every_cut(BYTES("GET /1234 "), &limits);
    EXPECT_INT(verdict.result, GUARD_HEAD_TOO_LARGE);
    limits.target_bytes = 6;
    verdict = judge_every_cut(BYTES("GET /12345"), &limits);
    EXPECT_INT(verdict.result, GUARD_TARGET_OVER_HEAD);
}

TEST(a_method_that_does_not_end_within_the_head_is_too_long)
{
    struct head_limits limits = {.bytes = 4, .fields = 2, .target_bytes = 5};
    EXPECT_INT(judge_every_cut(BYTES("GETGETGET"), &limits).result, GUARD_METHOD_TOO_LONG);
    EXPECT_INT(judge_every_cut(BYTES("\r\n\r\nGET"), &limits).result, GUARD_METHOD_TOO_LONG);
    EXPECT_INT(judge_every_cut(BYTES("GET /"), &limits).result, GUARD_TARGET_OVER_HEAD);
}

TEST(each_refusal_has_a_status_a_reason_and_its_limit)
{
    struct head_limits limits = {.bytes = 11, .fields = 22, .target_bytes = 33};
    static const struct {
        enum guard_result result;
        int status;
        uint64_t bound;
    } wanted[] = {
        {GUARD_BAD, 400, 0},
        {GUARD_BAD_VERSION, 505, 0},
        {GUARD_METHOD_TOO_LONG, 501, 11},
        {GUARD_TARGET_TOO_LONG, 414, 33},
        {GUARD_TARGET_OVER_HEAD, 414, 11},
        {GUARD_HEAD_TOO_LARGE, 431, 11},
        {GUARD_TOO_MANY_FIELDS, 431, 22},
        {GUARD_CHUNKS_TOO_LARGE, 400, 11},
        {GUARD_TRAILERS_TOO_LARGE, 431, 11},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const struct guard_refusal *refusal = guard_refusal_of(wanted[i].result);
        EXPECT_INT(refusal->status, wanted[i].status);
        EXPECT((refusal->why == NULL) == (wanted[i].result == GUARD_BAD));
        EXPECT((refusal->limit != NULL) == (wanted[i].bound != 0));
        if (refusal->limit != NULL) {
            EXPECT_INT(guard_refusal_bound(refusal, &limits), wanted[i].bound);
        }
    }
}

/// The verdict of a chunk guard on a body.
struct body {
    enum guard_result result;
    size_t taken;
    char data[HEAD_MAX];
    size_t data_len;
    const char *why;
};

static void take_part(struct chunk_guard *guard, struct bytes bytes,
                      const struct head_limits *limits, struct body *body)
{
    while (bytes.len > 0 && body->result == GUARD_MORE) {
        struct chunk_part part;
        body->result = chunk_guard_take(guard, bytes, limits, &part);
        if (part.data.len > 0) {
            memcpy(body->data + body->data_len, part.data.at, part.data.len);
        }
        body->data_len += part.data.len;
        body->taken += part.taken;
        EXPECT(part.taken > 0 || body->result != GUARD_MORE);
        bytes = bytes_skip(bytes, part.taken);
    }
}

static struct body decode(struct bytes text, const struct head_limits *limits, size_t first,
                          size_t step)
{
    struct body body = {.result = GUARD_MORE};
    struct chunk_guard guard;
    chunk_guard_init(&guard);
    for (size_t size = first; text.len > 0 && body.result == GUARD_MORE; size = step) {
        size_t len = size < text.len ? size : text.len;
        take_part(&guard, bytes_of(text.at, len), limits, &body);
        text = bytes_skip(text, len);
    }
    body.why = guard.why;
    return body;
}

static struct body decode_every_cut(struct bytes text, const struct head_limits *limits)
{
    struct body whole = decode(text, limits, text.len, text.len);
    for (size_t cut = 0; cut < text.len; cut++) {
        struct body other = decode(text, limits, cut == 0 ? 1 : cut, cut == 0 ? 1 : text.len);
        EXPECT_INT(other.result, whole.result);
        EXPECT_INT(other.taken, whole.taken);
        EXPECT(other.why == whole.why);
        EXPECT_BYTES(bytes_of(other.data, other.data_len), bytes_of(whole.data, whole.data_len));
    }
    EXPECT((whole.result == GUARD_BAD) == (whole.why != NULL));
    return whole;
}

static void expect_body(struct bytes text, struct bytes data)
{
    struct body body = decode_every_cut(text, &plenty);
    EXPECT_INT(body.result, GUARD_DONE);
    EXPECT_INT(body.taken, text.len);
    EXPECT_BYTES(bytes_of(body.data, body.data_len), data);
}

static void expect_bad_body(struct bytes text, const char *part)
{
    struct body body = decode_every_cut(text, &plenty);
    EXPECT_INT(body.result, GUARD_BAD);
    EXPECT(body.why != NULL && strstr(body.why, part) != NULL);
}

TEST(chunks_are_decoded)
{
    expect_body(BYTES("0\r\n\r\n"), BYTES(""));
    expect_body(BYTES("4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n"), BYTES("Wikipedia"));
    expect_body(BYTES("00A\r\n0123456789\r\n1\r\n\n\r\n000\r\n\r\n"), BYTES("0123456789\n"));
    expect_body(BYTES("1\r\na\r\n0\r\nExpires: x\r\nb:\t\r\n\r\n"), BYTES("a"));
}

TEST(legal_chunk_extensions_are_skipped)
{
    expect_body(BYTES("1;a\r\nx\r\n0;b=c\r\n\r\n"), BYTES("x"));
    expect_body(BYTES("1 \t; a\t=\tb ; c\r\nx\r\n0\r\n\r\n"), BYTES("x"));
    expect_body(BYTES("1;a=\"\"\r\nx\r\n0\r\n\r\n"), BYTES("x"));
    expect_body(BYTES("1;a=\" \t;=!(\\\"\\\\\\a\\ \\;\\=\\(\x80\" ;b\r\nx\r\n0\r\n\r\n"),
                BYTES("x"));
    expect_body(BYTES("1;a=\"b\";c=d;e ;f = \"g\"\r\nx\r\n0\r\n\r\n"), BYTES("x"));
}

TEST(bytes_behind_the_last_chunk_are_not_taken)
{
    struct body body = decode_every_cut(BYTES("0\r\n\r\nGET /"), &plenty);
    EXPECT_INT(body.result, GUARD_DONE);
    EXPECT_INT(body.taken, 5);
}

TEST(a_malformed_chunk_size_is_refused)
{
    expect_bad_body(BYTES("\r\n"), "without a size");
    expect_bad_body(BYTES(" 1\r\n"), "without a size");
    expect_bad_body(BYTES(";a\r\n"), "without a size");
    expect_bad_body(BYTES("-1\r\n"), "without a size");
    expect_bad_body(BYTES("g\r\n"), "without a size");
    expect_bad_body(BYTES("1\r\nx\r\n\r\n"), "without a size");
    expect_bad_body(BYTES("0x1\r\n"), "section 7.1.1");
    expect_bad_body(BYTES("1 \r\n"), "section 7.1.1");
    expect_bad_body(BYTES("1 2\r\n"), "section 7.1.1");
    expect_bad_body(BYTES("1\n"), "section 7.1.1");
    expect_bad_body(BYTES("1\rx"), "section 7.1)");
    expect_bad_body(BYTES("10000000000000000\r\n"), "64 bits");
    expect_bad_body(BYTES("fffffffffffffffff\r\n"), "64 bits");
}

TEST(the_largest_chunk_size_is_legal)
{
    struct body body = decode_every_cut(BYTES("fffffffffffffFFF\r\nabc"), &plenty);
    EXPECT_INT(body.result, GUARD_MORE);
    EXPECT_BYTES(bytes_of(body.data, body.data_len), BYTES("abc"));
}

TEST(data_ends_in_crlf)
{
    expect_bad_body(BYTES("1\r\nab"), "section 7.1)");
    expect_bad_body(BYTES("1\r\na\n"), "section 7.1)");
    expect_bad_body(BYTES("1\r\na\rb"), "section 7.1)");
}

TEST(a_malformed_extension_is_refused)
{
    static const char *const lines[] = {
        "1;\r",       "1;;",        "1; =",         "1;a =\r",    "1;a=\r",     "1;a= \r",
        "1;a=;",      "1;a=b=c",    "1;a b",        "1;a \r",     "1;a=b \r",   "1;a=b c",
        "1;a(",       "1;a=(",      "1;a=b(",       "1;a=\n",     "1;a=\"\r",   "1;a=\"\n",
        "1;a=\"\x7f", "1;a=\"\\\r", "1;a=\"\\\x01", "1;a=\"b\"c", "1;a=\"b\"=", "1;a=\"b\"\"",
        "1;\x80",     "1;a=\\b",    "1;a=b\"",      "1;a=b\\"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        expect_bad_body(bytes_from_string(lines[i]), "section 7.1.1");
    }
    expect_bad_body(BYTES("1;a=\"\0"), "section 7.1.1");
}

TEST(trailers_obey_the_rules_of_the_head)
{
    expect_bad_body(BYTES("0\r\n a: b\r\n\r\n"), "section 5.2");
    expect_bad_body(BYTES("0\r\na : b\r\n\r\n"), "section 5.1");
    expect_bad_body(BYTES("0\r\na: b\n"), "section 2.2");
    expect_bad_body(BYTES("0\r\n\n"), "section 5)");
}

TEST(trailers_are_left_as_they_came)
{
    char text[] = "0\r\na:\tb\t\r\n\r\n";
    struct body body = decode(bytes_of(text, sizeof(text) - 1), &plenty, 100, 100);
    EXPECT_INT(body.result, GUARD_DONE);
    EXPECT_BYTES(bytes_from_string(text), BYTES("0\r\na:\tb\t\r\n\r\n"));
}

TEST(each_limit_of_a_trailer_section_is_met_exactly)
{
    struct bytes text = BYTES("0\r\na: b\r\nc: d\r\n\r\n");
    struct head_limits limits = {.bytes = text.len - 3, .fields = 2, .target_bytes = 0};
    EXPECT_INT(decode_every_cut(text, &limits).result, GUARD_DONE);
    limits.bytes--;
    EXPECT_INT(decode_every_cut(text, &limits).result, GUARD_TRAILERS_TOO_LARGE);
    limits = (struct head_limits){.bytes = text.len, .fields = 1, .target_bytes = 0};
    EXPECT_INT(decode_every_cut(text, &limits).result, GUARD_TOO_MANY_FIELDS);
}

TEST(framing_is_bounded_by_the_head_limit_and_sixteen_bytes_a_chunk)
{
    struct head_limits limits = {.bytes = 10, .fields = 1, .target_bytes = 1};
    // The first size line may take 26 bytes, and what it leaves is there for the next.
    EXPECT_INT(decode_every_cut(BYTES("000000000000000000000001\r\nab"), &limits).result,
               GUARD_CHUNKS_TOO_LARGE);
    EXPECT_INT(decode_every_cut(BYTES("0000000000000000000000001\r\n"), &limits).result,
               GUARD_CHUNKS_TOO_LARGE);
    EXPECT_INT(decode_every_cut(BYTES("0000000000000000000001\r\na\r\n"
                                      "0000000000001\r\na\r\n0\r\n\r\n"),
                                &limits)
                   .result,
               GUARD_CHUNKS_TOO_LARGE);
    EXPECT_INT(decode_every_cut(BYTES("0000000000000000000001\r\na\r\n"
                                      "000000000001\r\na\r\n0\r\n\r\n"),
                                &limits)
                   .result,
               GUARD_DONE);
}

TEST(honest_chunks_never_meet_the_framing_limit)
{
    struct head_limits limits = {.bytes = 0, .fields = 0, .target_bytes = 0};
    struct chunk_guard guard;
    struct body body = {.result = GUARD_MORE};
    chunk_guard_init(&guard);
    for (int i = 0; i < 1000; i++) {
        take_part(&guard, BYTES("1\r\nx\r\n"), &limits, &body);
        EXPECT_INT(body.result, GUARD_MORE);
    }
    EXPECT_INT(body.data_len, 1000);
}
