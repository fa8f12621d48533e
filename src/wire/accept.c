// SPDX-License-Identifier: MIT
//
// The field is cut into its members, each member is parsed as a media range, and the most specific
// range that matches the type decides. A member that is no media range is left out.
#include "wire/accept.h"

#include "base/check.h"
#include "wire/headers.h"
#include "wire/octet.h"

/// A media range as far as negotiation needs it.
struct range {
    struct bytes type, subtype;
    bool has_parameters; // other than the weight
    int quality;         // thousandths
};

static bool parse_range(struct bytes member, struct range *range);
static bool parse_parameter(struct bytes text, struct range *range);
static bool parse_coding_weight(struct bytes text, int *quality);
static bool parse_weight(struct bytes text, int *quality);
static bool is_parameter_value(struct bytes text);
static int specificity(const struct range *range, struct bytes type, struct bytes subtype);
static struct bytes take_until(struct bytes *rest, char separator);

int accept_quality(struct bytes accept, struct bytes type)
{
    struct bytes subtype = type;
    struct bytes main_type = take_until(&subtype, '/');
    struct bytes member;
    bool has_range = false;
    int best = 0;
    int quality = 0;
    while (headers_next_member(&accept, &member)) {
        struct range range;
        if (!parse_range(member, &range)) {
            continue;
        }
        has_range = true;
        int rank = specificity(&range, main_type, subtype);
        if (rank > best || (rank == best && rank > 0 && range.quality > quality)) {
            best = rank;
            quality = range.quality;
        }
    }
    DCHECK(quality >= 0 && quality <= 1000);
    return has_range ? quality : 1000;
}

int accept_encoding_quality(struct bytes accept_encoding, struct bytes coding)
{
    struct bytes rest;
    int named = -1;
    int any = 0;
    while (headers_next_member(&accept_encoding, &rest)) {
        int quality = 1000;
        struct bytes name = bytes_trim(take_until(&rest, ';'));
        if (rest.len > 0 && !parse_coding_weight(bytes_trim(rest), &quality)) {
            continue;
        }
        bool is_named =
            bytes_equal_nocase(name, coding) ||
            (bytes_equal(coding, BYTES("gzip")) && bytes_equal_nocase(name, BYTES("x-gzip")));
        if (is_named && quality > named) {
            named = quality;
        } else if (bytes_equal(name, BYTES("*"))) {
            any = quality;
        }
    }
    DCHECK(named <= 1000 && any >= 0 && any <= 1000);
    return named >= 0 ? named : any;
}

/// Parses `type/subtype *( OWS ; OWS [parameter] )`. False when it is anything else.
static bool parse_range(struct bytes member, struct range *range)
{
    *range = (struct range){.quality = 1000};
    struct bytes rest = member;
    struct bytes media = bytes_trim(take_until(&rest, ';'));
    range->subtype = media;
    range->type = take_until(&range->subtype, '/');
    if (!headers_is_token(range->type) || !headers_is_token(range->subtype)) {
        return false;
    }
    while (rest.len > 0) {
        struct bytes parameter = bytes_trim(take_until(&rest, ';'));
        if (parameter.len > 0 && !parse_parameter(parameter, range)) {
            return false;
        }
    }
    return true;
}

/// Parses `name=value`. The name `q` is the weight, wherever it stands (RFC 9110, section 12.4.2).
static bool parse_parameter(struct bytes text, struct range *range)
{
    struct bytes value = text;
    struct bytes name = take_until(&value, '=');
    if (bytes_equal_nocase(name, BYTES("q"))) {
        return parse_weight(value, &range->quality);
    }
    range->has_parameters = true;
    return headers_is_token(name) && is_parameter_value(value);
}

/// Parses `q=weight`, the one parameter that a coding has.
static bool parse_coding_weight(struct bytes text, int *quality)
{
    struct bytes value = text;
    struct bytes name = take_until(&value, '=');
    return bytes_equal_nocase(name, BYTES("q")) && parse_weight(value, quality);
}

/// Parses a weight: 0 or 1 with at most three decimals, not above 1. `.2` is accepted for `0.2`,
/// because Java's HttpURLConnection writes it so in every request.
static bool parse_weight(struct bytes text, int *quality)
{
    struct bytes decimals = text;
    struct bytes whole = take_until(&decimals, '.');
    if (whole.len + decimals.len == 0 || whole.len > 1 || decimals.len > 3) {
        return false;
    }
    int sum = 0;
    if (whole.len == 1) {
        if (whole.at[0] != '0' && whole.at[0] != '1') {
            return false;
        }
        sum = whole.at[0] == '1' ? 1000 : 0;
    }
    int unit = 100;
    for (size_t i = 0; i < decimals.len; i++, unit /= 10) {
        if (!octet_is(decimals.at[i], OCTET_DIGIT)) {
            return false;
        }
        sum += (decimals.at[i] - '0') * unit;
    }
    *quality = sum;
    return sum <= 1000;
}

/// A token or a whole quoted string.
static bool is_parameter_value(struct bytes text)
{
    if (text.len == 0 || text.at[0] != '"') {
        return headers_is_token(text);
    }
    for (size_t i = 1; i < text.len; i++) {
        if (text.at[i] == '"') {
            return i == text.len - 1;
        }
        i += text.at[i] == '\\';
        if (i == text.len || !octet_is(text.at[i], OCTET_VALUE)) {
            return false;
        }
    }
    return false;
}

/// How closely `range` names the type: 3, 2 or 1; 0 when it does not match.
static int specificity(const struct range *range, struct bytes type, struct bytes subtype)
{
    struct bytes any = BYTES("*");
    DCHECK(range->type.len > 0 && range->subtype.len > 0);
    if (range->has_parameters) {
        return 0;
    }
    if (bytes_equal(range->type, any)) {
        return bytes_equal(range->subtype, any) ? 1 : 0;
    }
    if (!bytes_equal_nocase(range->type, type)) {
        return 0;
    }
    if (bytes_equal(range->subtype, any)) {
        return 2;
    }
    return bytes_equal_nocase(range->subtype, subtype) ? 3 : 0;
}

/// Takes the bytes of `rest` in front of the first `separator` outside quotes, or all of them.
/// `rest` is then what stands behind the separator.
static struct bytes take_until(struct bytes *rest, char separator)
{
    size_t len = headers_index_unquoted(*rest, separator);
    struct bytes taken = bytes_of(rest->at, len);
    *rest = bytes_skip(*rest, len < rest->len ? len + 1 : len);
    return taken;
}
