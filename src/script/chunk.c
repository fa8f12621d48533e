// SPDX-License-Identifier: MIT
#include "script/chunk.h"

#include "base/check.h"
#include "base/environment.h"
#include "script/stack.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

enum { PIECE_BYTES = 4096 };

/// A file that Lua reads, piece by piece.
struct source {
    FILE *file;
    char piece[PIECE_BYTES];
};

static const char *shown_name(const char *path);
static int load_named(lua_State *L, FILE *file, const char *name);
static void skip_first_comment(FILE *file);
static const char *read_piece(lua_State *L, void *arg, size_t *size);

int chunk_load(lua_State *L, const char *path)
{
    const char *name = path == NULL ? NULL : shown_name(path);
    if (name == path) {
        return luaL_loadfilex(L, path, "t");
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        lua_pushfstring(L, "cannot open %s: %s", name, strerror(errno));
        return LUA_ERRFILE;
    }
    int status = load_named(L, file, name);
    fclose(file);
    return status;
}

FILE *chunk_file(const char *name)
{
    const char *folder = environment_here->texts_folder;
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", folder == NULL ? "" : folder, name);
    bool is_text = folder != NULL && *name != '/' && len > 0 && (size_t)len < sizeof(path);
    return fopen(is_text ? path : name, "re");
}

void chunk_push_message(lua_State *L, const char *message)
{
    const char *folder = environment_here->texts_folder;
    if (folder == NULL) {
        lua_pushstring(L, message);
        return;
    }
    lua_pushfstring(L, "%s/", folder);
    luaL_gsub(L, message, lua_tostring(L, -1), "");
    lua_remove(L, -2);
}

/// The end of `path`, if it is in the folder of texts.
static const char *shown_name(const char *path)
{
    const char *folder = environment_here->texts_folder;
    size_t len = folder == NULL ? 0 : strlen(folder);
    DCHECK(folder == NULL || (len > 0 && folder[len - 1] != '/'));
    bool is_inside = len > 0 && strncmp(path, folder, len) == 0 && path[len] == '/';
    return is_inside ? path + len + 1 : path;
}

static int load_named(lua_State *L, FILE *file, const char *name)
{
    struct source source = {.file = file};
    STACK_BEGIN(L);
    skip_first_comment(file);
    lua_pushfstring(L, "@%s", name);
    int status = lua_load(L, read_piece, &source, lua_tostring(L, -1), "t");
    lua_remove(L, -2);
    DCHECK_STACK(L, 1);
    return status;
}

/// A first line that begins with # is no Lua. Its end stays, so that the lines keep their numbers.
static void skip_first_comment(FILE *file)
{
    int byte = getc(file);
    bool is_comment = byte == '#';
    while (is_comment && byte != EOF && byte != '\n') {
        byte = getc(file);
    }
    if (byte != EOF) {
        (void)ungetc(byte, file); // one byte always fits
    }
}

static const char *read_piece(lua_State *L, void *arg, size_t *size)
{
    struct source *source = arg;
    (void)L;
    *size = fread(source->piece, 1, PIECE_BYTES, source->file);
    return *size == 0 ? NULL : source->piece;
}
