// SPDX-License-Identifier: MIT
#include "kit/lines.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum { COUNTS_MIN = 64 };

static struct file_lines *find_or_add(struct lines *lines, const char *name);
static void make_room(struct file_lines *file, size_t line);

void lines_init(struct lines *lines)
{
    map_init(&lines->files);
}

void lines_deinit(struct lines *lines)
{
    for (struct file_lines *file; (file = lines_take(lines)) != NULL;) {
        file_lines_free(file);
    }
    map_deinit(&lines->files);
}

void lines_add(void *arg, const char *chunk, int line)
{
    struct lines *lines = arg;
    if (chunk[0] == '@' && line > 0) {
        struct file_lines *file = find_or_add(lines, chunk + 1);
        make_room(file, (size_t)line);
        DCHECK((size_t)line < file->count);
        file->counts[line]++;
    }
}

struct file_lines *lines_take(struct lines *lines)
{
    struct map_entry *entry = map_any(&lines->files);
    if (entry == NULL) {
        return NULL;
    }
    map_remove(&lines->files, entry);
    return CONTAINER_OF(entry, struct file_lines, entry);
}

void file_lines_free(struct file_lines *file)
{
    mem_free(file->counts);
    mem_free(file->name);
    mem_free(file);
}

static struct file_lines *find_or_add(struct lines *lines, const char *name)
{
    struct map_entry *entry = map_find(&lines->files, bytes_from_string(name));
    if (entry != NULL) {
        return CONTAINER_OF(entry, struct file_lines, entry);
    }
    struct file_lines *file = mem_new(struct file_lines);
    *file = (struct file_lines){.name = mem_string(bytes_from_string(name))};
    file->entry.key = bytes_from_string(file->name);
    map_add(&lines->files, &file->entry);
    return file;
}

/// Makes the array longer, if the line is behind its end.
static void make_room(struct file_lines *file, size_t line)
{
    if (line < file->count) {
        return;
    }
    size_t count = file->count < COUNTS_MIN ? COUNTS_MIN : file->count;
    while (count <= line) {
        count *= 2;
    }
    uint64_t *counts = mem_zero(count * sizeof(uint64_t));
    if (file->count > 0) {
        memcpy(counts, file->counts, file->count * sizeof(uint64_t));
    }
    mem_free(file->counts);
    file->counts = counts;
    file->count = count;
}
