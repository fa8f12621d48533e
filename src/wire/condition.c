// SPDX-License-Identifier: MIT
#include "wire/condition.h"

#include "base/check.h"
#include "wire/date.h"
#include "wire/etag.h"

static bool is_there(struct bytes field);
static bool has_tag(struct bytes tags, const struct validators *validators,
                    enum etag_comparison comparison);
static bool has_date(struct bytes field, const struct validators *validators, int64_t *date_s);

enum condition condition_judge(const struct conditions *conditions,
                               const struct validators *validators)
{
    int64_t date_s;
    DCHECK(validators->etag.len > 0);
    if (is_there(conditions->if_match)) {
        if (!has_tag(conditions->if_match, validators, ETAG_STRONG)) {
            return CONDITION_FAILED;
        }
    } else if (has_date(conditions->if_unmodified_since, validators, &date_s) &&
               validators->modified_s > date_s) {
        return CONDITION_FAILED;
    }
    if (is_there(conditions->if_none_match)) {
        bool is_known = has_tag(conditions->if_none_match, validators, ETAG_WEAK);
        return is_known ? CONDITION_NOT_MODIFIED : CONDITION_MET;
    }
    if (has_date(conditions->if_modified_since, validators, &date_s) &&
        validators->modified_s <= date_s) {
        return CONDITION_NOT_MODIFIED;
    }
    return CONDITION_MET;
}

bool condition_allows_range(const struct conditions *conditions,
                            const struct validators *validators)
{
    struct bytes text = conditions->if_range;
    int64_t date_s;
    if (!is_there(text)) {
        return true;
    }
    if (text.len > 0 && text.at[text.len - 1] == '"') {
        return bytes_equal(text, validators->etag); // a weak tag differs, because ours is strong
    }
    int64_t age_s = validators->now_s - validators->modified_s;
    bool is_strong = age_s < 0 || age_s > 1;
    return is_strong && has_date(text, validators, &date_s) && date_s == validators->modified_s;
}

static bool is_there(struct bytes field)
{
    return field.at != NULL;
}

/// "*" stands for any content that there is.
static bool has_tag(struct bytes tags, const struct validators *validators,
                    enum etag_comparison comparison)
{
    return bytes_equal(bytes_trim(tags), BYTES("*")) ||
           etag_list_has(tags, validators->etag, comparison);
}

static bool has_date(struct bytes field, const struct validators *validators, int64_t *date_s)
{
    return is_there(field) && date_parse(field, validators->now_s, date_s);
}
