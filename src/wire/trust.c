// SPDX-License-Identifier: MIT
#include "wire/trust.h"

#include "base/error.h"
#include "wire/headers.h"

#include <assert.h>
#include <errno.h>

static_assert(TRUST_NETWORKS_MAX == 64, "the text of TRUST_TOO_MANY says so");

static int set_fields(struct trust *trust, enum trust_fields fields);

int trust_add(struct trust *trust, struct bytes word)
{
    if (bytes_equal(word, BYTES("unix"))) {
        trust->has_unix = true;
        return 0;
    }
    if (bytes_equal(word, BYTES("forwarded"))) {
        return set_fields(trust, TRUST_STANDARD);
    }
    if (bytes_equal(word, BYTES("x-forwarded"))) {
        return set_fields(trust, TRUST_X);
    }
    struct network network;
    int failure = network_parse(word, &network);
    if (failure == 0 && trust->network_count == TRUST_NETWORKS_MAX) {
        failure = TRUST_TOO_MANY;
    }
    if (failure == 0) {
        trust->networks[trust->network_count++] = network;
    }
    return failure == -EINVAL ? TRUST_BAD_WORD : failure;
}

int trust_add_list(struct trust *trust, struct bytes list, struct bytes *bad)
{
    struct bytes rest = list;
    while (headers_next_member(&rest, bad)) {
        int failure = trust_add(trust, *bad);
        if (failure != 0) {
            return failure;
        }
    }
    *bad = list;
    return trust_is_given(trust) ? 0 : TRUST_NOBODY;
}

bool trust_has(const struct trust *trust, const struct ip *ip)
{
    for (size_t i = 0; i < trust->network_count; i++) {
        if (network_has(&trust->networks[i], ip)) {
            return true;
        }
    }
    return false;
}

static int set_fields(struct trust *trust, enum trust_fields fields)
{
    if (trust->fields != TRUST_EITHER && trust->fields != fields) {
        return TRUST_BOTH_FIELDS;
    }
    trust->fields = fields;
    return 0;
}
