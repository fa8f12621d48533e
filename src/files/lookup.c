// SPDX-License-Identifier: MIT
//
// A peer is told of a file that is there, and otherwise only that there is none: a link that leads
// out, a file that the server may not read, and a device are all -ENOENT.
#include "files/lookup.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "files/beneath.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void look(struct offload *offload);
static void on_looked(struct offload *offload);
static int open_file(const char *root, const char *path, struct lookup_found *found);
static int open_index(const struct lookup_wanted *wanted, struct lookup_found *found);
static void open_coded(const struct lookup_wanted *wanted, struct lookup_found *found);
static const char *join(char *out, const char *path, const char *end);
static int public_failure(int failure);
static void read_content(struct lookup_found *found);
static void close_file(struct lookup_found *found);

void lookup_start(struct lookup *lookup, struct loop *loop, lookup_fn done)
{
    DCHECK(loop != NULL && done != NULL);
    DCHECK(lookup->wanted.path != NULL && lookup->wanted.coding_count <= LOOKUP_CODINGS_MAX);
    lookup->found = (struct lookup_found){.file = -1};
    lookup->_done = done;
    lookup->_offload.run = look;
    lookup->_offload.done = on_looked;
    offload_start(&lookup->_offload, loop);
}

void lookup_deinit(struct lookup *lookup)
{
    close_file(&lookup->found);
    mem_free(lookup->found.content);
    mem_free(lookup->wanted.root);
    mem_free(lookup->wanted.path);
    mem_free(lookup->wanted.index);
    lookup->found.content = NULL;
}

static void look(struct offload *offload)
{
    struct lookup *lookup = CONTAINER_OF(offload, struct lookup, _offload);
    const struct lookup_wanted *wanted = &lookup->wanted;
    struct lookup_found *found = &lookup->found;
    int failure = open_file(wanted->root, wanted->path, found);
    if (failure == -EISDIR && wanted->index != NULL) {
        failure = open_index(wanted, found);
    }
    if (failure == 0) {
        open_coded(wanted, found);
    }
    found->failure = public_failure(failure);
    if (failure == 0 && wanted->wants_content && found->facts.size <= LOOKUP_CONTENT_BYTES) {
        read_content(found);
    }
}

static void on_looked(struct offload *offload)
{
    struct lookup *lookup = CONTAINER_OF(offload, struct lookup, _offload);
    lookup->_done(lookup);
}

/// Opens a regular file and takes the place of the one that is open. When it fails, that stays.
static int open_file(const char *root, const char *path, struct lookup_found *found)
{
    struct stat status;
    int file = beneath_find(root, *path == '\0' ? "." : path);
    if (file < 0) {
        return file;
    }
    int failure = fstat(file, &status) != 0 ? -errno : 0;
    if (failure == 0 && !S_ISREG(status.st_mode)) {
        failure = S_ISDIR(status.st_mode) ? -EISDIR : -ENOENT;
    }
    if (failure != 0) {
        close(file);
        return failure;
    }
    close_file(found);
    found->file = file;
    found->facts = (struct etag_source){.size = (uint64_t)status.st_size,
                                        .inode = (uint64_t)status.st_ino,
                                        .modified_s = status.st_mtim.tv_sec,
                                        .modified_ns = (uint32_t)status.st_mtim.tv_nsec};
    return 0;
}

/// A folder without a slash at the end of its path stays -EISDIR: links in its index would lead to
/// other places than they would with the slash, so the caller redirects.
static int open_index(const struct lookup_wanted *wanted, struct lookup_found *found)
{
    char path[PATH_MAX];
    size_t len = strlen(wanted->path);
    if (len > 0 && wanted->path[len - 1] != '/') {
        return -EISDIR;
    }
    const char *index = join(path, wanted->path, wanted->index);
    found->is_index = true;
    return index == NULL ? -ENAMETOOLONG : open_file(wanted->root, index, found);
}

/// Takes the first coded file that lies beside the plain one, if any does.
static void open_coded(const struct lookup_wanted *wanted, struct lookup_found *found)
{
    static const char *const extensions[] = {
        [FILE_PLAIN] = "", [FILE_BR] = ".br", [FILE_GZIP] = ".gz"};
    char plain[PATH_MAX];
    char path[PATH_MAX];
    const char *name = join(plain, wanted->path, found->is_index ? wanted->index : "");
    for (size_t i = 0; i < wanted->coding_count && name != NULL; i++) {
        enum file_coding coding = wanted->codings[i];
        const char *coded = join(path, name, extensions[coding]);
        DCHECK(coding != FILE_PLAIN);
        if (coded != NULL && open_file(wanted->root, coded, found) == 0) {
            found->coding = coding;
            return;
        }
    }
}

/// Writes `path` with `end` behind it to `out`, which has PATH_MAX bytes. NULL when that is too
/// little.
static const char *join(char *out, const char *path, const char *end)
{
    int len = snprintf(out, PATH_MAX, "%s%s", path, end);
    return len >= 0 && len < PATH_MAX ? out : NULL;
}

static int public_failure(int failure)
{
    switch (failure) {
    case -ENOTDIR:
    case -EACCES:
    case -EPERM:
    case -ELOOP:
    case -EXDEV:
    case -ENAMETOOLONG:
    case -ENXIO: // a socket, or a device that is not there
    case -ENODEV:
    case -EAGAIN: // something was renamed again and again
        return -ENOENT;
    default:
        return failure;
    }
}

/// Without the memory, or when the file has become shorter, the file stays open, and whoever sends
/// it finds out.
static void read_content(struct lookup_found *found)
{
    size_t size = (size_t)found->facts.size;
    DCHECK(found->file >= 0 && found->content == NULL && size <= LOOKUP_CONTENT_BYTES);
    size_t done = 0;
    char *content = mem_try_resize(NULL, size + 1);
    while (content != NULL && done < size) {
        ssize_t count = pread(found->file, content + done, size - done, (off_t)done);
        if (count == 0 || (count < 0 && errno != EINTR)) {
            mem_free(content);
            return;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    found->content = content;
    if (content != NULL) {
        close_file(found);
    }
}

static void close_file(struct lookup_found *found)
{
    if (found->file >= 0) {
        close(found->file);
        found->file = -1;
    }
}
