// SPDX-License-Identifier: MIT
//
// A script sets fields while the response is fresh. The codec, when it writes the head, asks for
// all fields by `response_put_fields`: those of an event stream first, then Date, then the
// script's, then those of every answer (`server:headers`), where the script has not set its own.
#include "http/response.h"

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "http/fields.h"
#include "wire/headers.h"

enum { OWN_FIELDS_BYTES = 192 }; // more than the engine's own fields ever take

/// Fields that the engine sets on an event stream, and one that would make its text unreadable. A
/// script cannot set them there.
static const struct bytes stream_fields[] = {
    {"Content-Type", 12},
    {"Cache-Control", 13},
    {"X-Accel-Buffering", 17},
    {"Content-Encoding", 16},
};

enum { STREAM_FIELD_COUNT = sizeof(stream_fields) / sizeof(stream_fields[0]) };

static bool is_stream_type(struct bytes type);
static bool is_named(struct bytes name, const struct bytes *names, size_t count);
static int check_field(const struct response *response, struct bytes name, struct bytes value);
static int append_field(struct response *response, struct bytes name, struct bytes value);
static bool is_reserved(struct bytes name);
static void put_stream_fields(const struct response *response, struct bytes connection,
                              response_put_fn put, void *user);
static void put_own(const struct response *response, response_put_fn put, void *user);
static void put_common(const struct response *response, struct bytes common, response_put_fn put,
                       void *user);

void response_init(struct response *response)
{
    *response = (struct response){.status = 200};
}

void response_deinit(struct response *response)
{
    if (response->_fields != NULL) {
        fields_deinit(response->_fields);
        mem_free(response->_fields);
        response->_fields = NULL;
    }
}

int response_set_field(struct response *response, struct bytes name, struct bytes value)
{
    int refusal = check_field(response, name, value);
    if (refusal != 0) {
        return refusal;
    }
    response_remove_field(response, name);
    return append_field(response, name, value);
}

int response_add_field(struct response *response, struct bytes name, struct bytes value)
{
    int refusal = check_field(response, name, value);
    return refusal != 0 ? refusal : append_field(response, name, value);
}

bool response_field(const struct response *response, struct bytes name, struct bytes *value)
{
    return response->_fields != NULL && fields_find(response->_fields, name, value);
}

void response_remove_field(struct response *response, struct bytes name)
{
    if (response->_fields != NULL) {
        fields_remove(response->_fields, name);
    }
}

void response_keep_fields(struct response *response)
{
    DCHECK(response->state == RESPONSE_FRESH);
    response->is_marked = true;
    if (response->_fields != NULL) {
        fields_keep(response->_fields);
    }
}

void response_start_over(struct response *response)
{
    DCHECK(response->state == RESPONSE_FRESH);
    struct fields *fields = response->_fields;
    if (!response->is_marked) {
        response_keep_fields(response);
    } else if (fields != NULL) {
        fields_restore(fields);
    }
    *response = (struct response){.status = 500, .is_marked = true, ._fields = fields};
}

void response_forget_content(struct response *response)
{
    static const struct bytes names[] = {
        {"Content-Type", 12},        {"Content-Encoding", 16}, {"Content-Language", 16},
        {"Content-Disposition", 19}, {"Cache-Control", 13},    {"ETag", 4},
        {"Last-Modified", 13},       {"Expires", 7},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        response_remove_field(response, names[i]);
    }
}

bool response_stream_conflict(const struct response *response, struct bytes *name)
{
    for (size_t i = 0; response->_fields != NULL && i < STREAM_FIELD_COUNT; i++) {
        struct bytes value;
        bool is_type = bytes_equal(stream_fields[i], BYTES("Content-Type"));
        if (response_field(response, stream_fields[i], &value) &&
            !(is_type && is_stream_type(value))) {
            *name = stream_fields[i];
            return true;
        }
    }
    return false;
}

bool response_may_be_common(struct bytes name)
{
    static const struct bytes own[] = {{"Content-Type", 12}, {"Content-Encoding", 16}};
    return !is_named(name, own, 2);
}

struct bytes response_fields(const struct response *response)
{
    return response->_fields == NULL ? BYTES("") : fields_packed(response->_fields);
}

size_t response_fields_size(const struct response *response,
                            const struct response_surroundings *surroundings)
{
    size_t size = response->_fields == NULL ? 0 : fields_size(response->_fields);
    return OWN_FIELDS_BYTES + size + surroundings->common.len;
}

void response_put_fields(const struct response *response,
                         const struct response_surroundings *surroundings, response_put_fn put,
                         void *user)
{
    struct bytes type;
    DCHECK(surroundings->date.len > 0);
    DCHECK(!response->is_stream || response->status == 200);
    if (response->is_stream) {
        put_stream_fields(response, surroundings->connection, put, user);
    } else if (surroundings->connection.len > 0) {
        put(user, BYTES("Connection"), surroundings->connection);
    }
    put(user, BYTES("Date"), surroundings->date);
    if (response->is_text && !response_field(response, BYTES("Content-Type"), &type)) {
        put(user, BYTES("Content-Type"), BYTES("text/plain; charset=utf-8"));
    }
    put_own(response, put, user);
    put_common(response, surroundings->common, put, user);
}

/// Whether `type` is "text/event-stream", without a parameter or with the charset that every event
/// stream has.
static bool is_stream_type(struct bytes type)
{
    static const struct bytes types[] = {
        {"text/event-stream", 17},
        {"text/event-stream;charset=utf-8", 31},
        {"text/event-stream; charset=utf-8", 32},
    };
    return is_named(type, types, sizeof(types) / sizeof(types[0]));
}

static bool is_named(struct bytes name, const struct bytes *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

static int append_field(struct response *response, struct bytes name, struct bytes value)
{
    if (response->_fields == NULL) {
        response->_fields = mem_new(struct fields);
        fields_init(response->_fields);
    }
    return fields_add(response->_fields, name, value);
}

static int check_field(const struct response *response, struct bytes name, struct bytes value)
{
    if (response->state != RESPONSE_FRESH) {
        return RESPONSE_HEAD_SENT;
    }
    if (!headers_name_is_valid(name)) {
        return RESPONSE_BAD_NAME;
    }
    if (!headers_value_is_valid(value)) {
        return RESPONSE_BAD_VALUE;
    }
    return is_reserved(name) ? RESPONSE_RESERVED : 0;
}

/// Whether the field describes the connection or the framing. Only the engine knows what is true of
/// them, so a script cannot set it.
static bool is_reserved(struct bytes name)
{
    static const struct bytes names[] = {
        {"connection", 10}, {"content-length", 14},    {"date", 4},    {"keep-alive", 10},
        {"trailer", 7},     {"transfer-encoding", 17}, {"upgrade", 7},
    };
    return is_named(name, names, sizeof(names) / sizeof(names[0]));
}

/// WHATWG HTML, section 9.2.5. `no-transform` and `X-Accel-Buffering` keep proxies from holding
/// events back.
static void put_stream_fields(const struct response *response, struct bytes connection,
                              response_put_fn put, void *user)
{
    struct bytes type = BYTES("text/event-stream");
    (void)response_field(response, BYTES("Content-Type"), &type); // or as it is
    put(user, BYTES("Content-Type"), type);
    put(user, BYTES("Cache-Control"), BYTES("no-cache, no-transform"));
    if (connection.len > 0) {
        put(user, BYTES("Connection"), connection);
    }
    put(user, BYTES("X-Accel-Buffering"), BYTES("no"));
}

/// The fields that the script has set, but for a stream's Content-Type, which `put_stream_fields`
/// has put.
static void put_own(const struct response *response, response_put_fn put, void *user)
{
    struct bytes rest = response_fields(response);
    struct field field;
    while (fields_next(&rest, &field)) {
        if (!response->is_stream || !bytes_equal_nocase(field.name, BYTES("Content-Type"))) {
            put(user, field.name, field.value);
        }
    }
}

/// The fields of every answer, but for those that this one sets, or that every stream has.
static void put_common(const struct response *response, struct bytes common, response_put_fn put,
                       void *user)
{
    struct field field;
    struct bytes unused;
    while (fields_next(&common, &field)) {
        bool is_stream_own =
            response->is_stream && is_named(field.name, stream_fields, STREAM_FIELD_COUNT);
        if (!is_stream_own && !response_field(response, field.name, &unused)) {
            put(user, field.name, field.value);
        }
    }
}
