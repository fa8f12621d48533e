// SPDX-License-Identifier: MIT
#include "kit/lib_records.h"

#include "base/check.h"
#include "base/log.h"
#include "kit/app.h"
#include "kit/records.h"

static void push_record(lua_State *L, const struct record *record);
static void push_text(lua_State *L, const struct log_field *field);
static void push_lost(lua_State *L, const struct app *app);

void push_records(lua_State *L, struct app *app)
{
    struct record *record;
    lua_newtable(L);
    for (lua_Integer i = 1; (record = records_take(&app->records)) != NULL; i++) {
        push_record(L, record);
        record_free(record);
        lua_rawseti(L, -2, i);
    }
    if (app->records.lost_count > 0) {
        push_lost(L, app);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        app->records.lost_count = 0;
    }
}

static void push_record(lua_State *L, const struct record *record)
{
    DCHECK(record->text.at != NULL);
    lua_createtable(L, 0, 4);
    lua_pushnumber(L, record->time);
    lua_setfield(L, -2, "time");
    lua_pushstring(L, log_level_name(record->level));
    lua_setfield(L, -2, "level");
    lua_pushlstring(L, record->text.at, record->text.len);
    lua_setfield(L, -2, "message");
    lua_createtable(L, 0, (int)record->field_count);
    for (size_t i = 0; i < record->field_count; i++) {
        const struct log_field *field = &record->fields[i];
        lua_pushlstring(L, field->key.at, field->key.len);
        if (field->type == LOG_FIELD_INT) {
            lua_pushinteger(L, field->number);
        } else if (field->type == LOG_FIELD_MICROSECONDS) {
            lua_pushnumber(L, (lua_Number)field->number / 1000);
        } else {
            push_text(L, field);
        }
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "fields");
}

/// A number or a boolean that a script has logged is one again; a table stays the text in JSON.
static void push_text(lua_State *L, const struct log_field *field)
{
    DCHECK(field->text.at != NULL || field->text.len == 0);
    lua_pushlstring(L, field->text.at, field->text.len);
    if (field->type != LOG_FIELD_JSON) {
        return;
    }
    bool is_true = bytes_equal(field->text, BYTES("true"));
    if (is_true || bytes_equal(field->text, BYTES("false"))) {
        lua_pop(L, 1);
        lua_pushboolean(L, is_true);
    } else if (lua_stringtonumber(L, lua_tostring(L, -1)) > 0) {
        lua_remove(L, -2);
    }
}

static void push_lost(lua_State *L, const struct app *app)
{
    struct bytes text = BYTES("records lost: the log was not taken");
    struct record record = {.level = LOG_WARN, .text = text};
    DCHECK(app->records.lost_count > 0);
    push_record(L, &record);
    lua_getfield(L, -1, "fields");
    lua_pushinteger(L, (lua_Integer)app->records.lost_count);
    lua_setfield(L, -2, "records");
    lua_pop(L, 1);
}
