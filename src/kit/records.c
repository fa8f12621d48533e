// SPDX-License-Identifier: MIT
#include "kit/records.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/environment.h"
#include "base/mem.h"

#include <string.h>

enum { ERRORS_BYTES_MAX = 1024 * 1024 };

static void take(struct log_sink *sink, enum log_level level, struct bytes text,
                 const struct log_field *fields, size_t count);
static struct bytes copy(char **at, struct bytes bytes);

void records_init(struct records *records)
{
    *records = (struct records){.sink = {.level = LOG_INFO, .take = take}};
    list_init(&records->list);
}

void records_deinit(struct records *records)
{
    struct record *record;
    while ((record = records_take(records)) != NULL) {
        record_free(record);
    }
    DCHECK(list_is_empty(&records->list));
    DCHECK(records->count == 0);
}

struct record *records_take(struct records *records)
{
    if (list_is_empty(&records->list)) {
        return NULL;
    }
    DCHECK(records->count > 0);
    struct record *record = LIST_ITEM(records->list.next, struct record, node);
    list_remove(&record->node);
    records->count--;
    return record;
}

void record_free(struct record *record)
{
    mem_free(record);
}

char *records_errors(const struct records *records)
{
    struct buf text;
    buf_init(&text, ERRORS_BYTES_MAX);
    LIST_EACH (node, after, &records->list) {
        const struct record *record = LIST_ITEM(node, struct record, node);
        if (record->level != LOG_ERROR) {
            continue;
        }
        bool fits = buf_is_empty(&text) || buf_append(&text, BYTES("\n"));
        fits = fits && buf_append(&text, record->text);
        for (size_t i = 0; i < record->field_count && fits; i++) {
            fits = buf_append(&text, BYTES(": ")) && buf_append(&text, record->fields[i].text);
        }
    }
    struct bytes bytes = buf_bytes(&text);
    char *errors = mem_alloc(bytes.len + 1);
    memcpy(errors, bytes.at, bytes.len);
    errors[bytes.len] = '\0';
    buf_reset(&text);
    return errors;
}

/// Copies the record into one piece of memory: the struct, its fields, and behind them the texts.
static void take(struct log_sink *sink, enum log_level level, struct bytes text,
                 const struct log_field *fields, size_t count)
{
    struct records *records = CONTAINER_OF(sink, struct records, sink);
    if (records->count == RECORDS_MAX) {
        records->lost_count++;
        return;
    }
    DCHECK(level < LOG_SILENT && (count == 0 || fields != NULL));
    size_t size = sizeof(struct record) + count * sizeof(struct log_field) + text.len;
    for (size_t i = 0; i < count; i++) {
        size += fields[i].key.len + fields[i].text.len;
    }
    struct record *record = mem_alloc(size);
    char *at = (char *)&record->fields[count];
    struct timespec now = environment_time(CLOCK_REALTIME);
    *record = (struct record){.level = level, .field_count = count};
    record->time = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    record->text = copy(&at, text);
    for (size_t i = 0; i < count; i++) {
        record->fields[i] = fields[i];
        record->fields[i].key = copy(&at, fields[i].key);
        record->fields[i].text = copy(&at, fields[i].text);
    }
    DCHECK(at == (char *)record + size);
    list_init(&record->node);
    list_append(&records->list, &record->node);
    records->count++;
}

static struct bytes copy(char **at, struct bytes bytes)
{
    char *start = *at;
    if (bytes.len > 0) {
        memcpy(start, bytes.at, bytes.len);
    }
    *at += bytes.len;
    return bytes_of(start, bytes.len);
}
