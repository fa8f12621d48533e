// SPDX-License-Identifier: MIT
#include "wire/etag.h"

#include "base/check.h"
#include "wire/octet.h"

#include <inttypes.h>
#include <stdio.h>

static bool take_tag(struct bytes *rest, struct bytes *tag);
static struct bytes skip_blank(struct bytes rest);
static bool is_weak(struct bytes tag);
static struct bytes opaque(struct bytes tag);
static bool is_etagc(char octet);

size_t etag_of_file(const struct etag_source *source, char *out)
{
    int len =
        snprintf(out, ETAG_LEN_MAX, "\"%" PRIx64 "-%" PRIx64 "%08" PRIx32 "-%" PRIx64 "\"",
                 source->size, (uint64_t)source->modified_s, source->modified_ns, source->inode);
    DCHECK(len > 0 && len < ETAG_LEN_MAX);
    return (size_t)len;
}

bool etag_list_has(struct bytes tags, struct bytes tag, enum etag_comparison comparison)
{
    struct bytes member;
    DCHECK(tag.len >= 2 && tag.at[tag.len - 1] == '"');
    while (take_tag(&tags, &member)) {
        bool may_match = comparison == ETAG_WEAK || (!is_weak(member) && !is_weak(tag));
        if (may_match && bytes_equal(opaque(member), opaque(tag))) {
            return true;
        }
    }
    return false;
}

/// Takes the next tag of a list, with its quotes and its `W/`. A backslash is no escape inside a
/// tag, as it would be in a quoted string. False at the end, and for what is no tag.
static bool take_tag(struct bytes *rest, struct bytes *tag)
{
    struct bytes text = skip_blank(*rest);
    while (text.len > 0 && text.at[0] == ',') { // empty members (section 5.6.1.2)
        text = skip_blank(bytes_skip(text, 1));
    }
    size_t len = is_weak(text) ? 2 : 0;
    if (text.len <= len || text.at[len] != '"') {
        return false;
    }
    len++;
    while (len < text.len && is_etagc(text.at[len])) {
        len++;
    }
    if (len == text.len || text.at[len] != '"') {
        return false;
    }
    *tag = bytes_of(text.at, len + 1);
    *rest = skip_blank(bytes_skip(text, len + 1));
    return rest->len == 0 || rest->at[0] == ',';
}

static struct bytes skip_blank(struct bytes rest)
{
    while (rest.len > 0 && octet_is_blank(rest.at[0])) {
        rest = bytes_skip(rest, 1);
    }
    return rest;
}

static bool is_weak(struct bytes tag)
{
    return tag.len >= 2 && tag.at[0] == 'W' && tag.at[1] == '/';
}

static struct bytes opaque(struct bytes tag)
{
    return is_weak(tag) ? bytes_skip(tag, 2) : tag;
}

/// Visible ASCII but for the quote, and obs-text.
static bool is_etagc(char octet)
{
    return octet != '"' && !octet_is_blank(octet) && octet_is(octet, OCTET_VALUE);
}
