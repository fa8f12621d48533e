// SPDX-License-Identifier: MIT
//
// The fields of a request for a file, but for Range: any conditions, Accept-Encoding, and the path.
// Input: one line for each.
#include "fuzz.h"

#include "base/utf8.h"
#include "wire/accept.h"
#include "wire/condition.h"
#include "wire/date.h"
#include "wire/disposition.h"
#include "wire/etag.h"
#include "wire/file_path.h"
#include "wire/media_type.h"

static struct bytes line(struct bytes *input);
static void check_conditions(const struct conditions *conditions);
static void check_date(struct bytes text);
static void check_accept(struct bytes text);
static void check_path(struct bytes path);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    struct conditions conditions;
    conditions.if_match = line(&input);
    conditions.if_none_match = line(&input);
    conditions.if_modified_since = line(&input);
    conditions.if_unmodified_since = line(&input);
    conditions.if_range = line(&input);
    check_conditions(&conditions);
    check_date(conditions.if_modified_since);
    check_accept(line(&input));
    check_path(line(&input));
    return 0;
}

/// An empty line is a field that is absent.
static struct bytes line(struct bytes *input)
{
    struct bytes text = fuzz_text(input, '\n');
    return text.len == 0 ? (struct bytes){NULL, 0} : text;
}

/// A list that has our tag is met by it, whatever else there is.
static void check_conditions(const struct conditions *conditions)
{
    struct validators validators = {BYTES("\"xyzzy\""), 783459811, 783463411};
    enum condition condition = condition_judge(conditions, &validators);
    bool has_tag = conditions->if_none_match.at != NULL &&
                   etag_list_has(conditions->if_none_match, validators.etag, ETAG_STRONG);
    CHECK(!has_tag || condition != CONDITION_MET);
    CHECK(!has_tag || etag_list_has(conditions->if_none_match, validators.etag, ETAG_WEAK));
    bool has_range = condition_allows_range(conditions, &validators);
    CHECK(has_range || conditions->if_range.at != NULL);
}

/// A date that is read is written as the same moment, where its year can be written.
static void check_date(struct bytes text)
{
    int64_t seconds;
    int64_t back;
    char written[HTTP_DATE_LEN];
    if (text.at == NULL || !date_parse(text, 1700000000, &seconds) || seconds < 0 ||
        seconds >= INT64_C(253402300800)) {
        return;
    }
    date_format(seconds, written);
    CHECK(date_parse(bytes_of(written, sizeof(written)), 0, &back) && back == seconds);
}

static void check_accept(struct bytes text)
{
    int quality = accept_encoding_quality(text, BYTES("br"));
    CHECK(quality >= 0 && quality <= 1000);
}

static void check_path(struct bytes path)
{
    struct buf out;
    if (path.at == NULL) {
        return;
    }
    struct bytes type = media_type_of_name(path);
    CHECK(type.len > 0);
    if (file_path_is_public(path)) {
        CHECK(path.at[0] != '/' && path.at[0] != '.');
        CHECK(memchr(path.at, '\0', path.len) == NULL);
        CHECK(memmem(path.at, path.len, "/.", 2) == NULL);
        CHECK(memmem(path.at, path.len, "//", 2) == NULL);
    }
    buf_init(&out, 1024 * 1024);
    if (disposition_write(path, &out)) {
        struct bytes written = buf_bytes(&out);
        for (size_t i = 0; i < written.len; i++) {
            CHECK(written.at[i] >= ' ' && written.at[i] <= '~');
        }
    }
    buf_reset(&out);
}
