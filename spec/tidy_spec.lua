-- The house rules, held by a machine. Each rule also has to fail on a small bad example, so that
-- none is blind. The rules themselves are in spec/support/tidy.lua.

local lfs = require "lfs"
local assertions = require "spec.support.tidy_assertions"
local errors = require "spec.support.tidy_errors"
local source = require "spec.support.c_source"
local tidy = require "spec.support.tidy"
local verbs = require "spec.support.tidy_verbs"
local Process = require "spec.support.process"

local FOLDERS = { "src", "lua", "scripts", "spec", "cmake" }
local SKIPPED = { node_modules = true, corpus = true }

local function read_tree(folder, files)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    local mode = lfs.attributes(path, "mode")
    if mode == "directory" and not name:find("^%.") and not SKIPPED[name] then
      read_tree(path, files)
    elseif mode == "file" then
      files[path] = Process.read_file(path)
    end
  end
  return files
end

local function project()
  local files = {
    ["CMakeLists.txt"] = Process.read_file("CMakeLists.txt"),
    ["CONTRIBUTING.md"] = Process.read_file("CONTRIBUTING.md"),
  }
  for _, folder in ipairs(FOLDERS) do
    if lfs.attributes(folder, "mode") == "directory" then
      read_tree(folder, files)
    end
  end
  return files
end

local SPDX = "// SPDX-License-Identifier: MIT\n"
local HEADER = SPDX .. "//\n// What it is.\n// Who owns it.\n#pragma once\n"

local function fn(signature, body)
  return SPDX .. signature .. "\n{\n" .. body .. "}\n"
end

---A struct with `count` members: m1, m2 ...
local function struct(name, count)
  local members = {}
  for i = 1, count do
    members[i] = ("    int m%d;\n"):format(i)
  end
  return ("struct %s {\n%s};\n"):format(name, table.concat(members))
end

---Statements that touch the members from `first` to `last` of `of`, such as "a->".
local function touches(of, first, last)
  local lines = {}
  for i = first, last do
    lines[#lines + 1] = ("    %sm%d = 1;\n"):format(of, i)
  end
  return table.concat(lines)
end

local VERBS = [[

| to end it | what began it | what that means |
| --- | --- | --- |
| `deinit`, `reset` | `init` | |
| `close` | `open` | |
| `stop` | (`start`) | |

]]

-- For each rule: files that break it once, and files that come close and do not.
local EXAMPLES = {
  ["includes point down, never up"] = {
    bad = { ["src/base/a.h"] = '#include "net/loop.h"\n' },
    good = { ["src/http/a.c"] = '#include "http/b.h"\n#include "wire/c.h"\n' },
  },
  ["the inside of a codec stays in http"] = {
    bad = { ["src/sse/a.c"] = '#include "http/conn.h"\n' },
    good = {
      ["src/sse/a.c"] = '#include "http/exchange.h"\n#include "http/service.h"\n',
      ["src/http/a.c"] = '#include "http/conn.h"\n#include "http/http1.h"\n',
    },
  },
  ["third-party headers stay in their one home"] = {
    bad = { ["src/http/conn.c"] = "#include <uv.h>\n" },
    good = { ["src/net/tcp.c"] = "#include <uv.h>\n#include <stdio.h>\n" },
  },
  ["headers do not include each other in circles"] = {
    bad = {
      ["src/base/a.h"] = '#include "base/b.h"\n', ["src/base/b.h"] = '#include "base/a.h"\n',
    },
    good = { ["src/base/a.h"] = '#include "base/b.h"\n', ["src/base/b.h"] = "" },
  },
  ["files of a floor do not use each other in circles"] = {
    bad = { -- by calls, one by the address of a function; no header tells
      ["src/script/a.c"] = fn("void a_go(void)", "    b_go();\n"),
      ["src/script/b.c"] = fn("void b_go(void)", "    c_later(a_go);\n"),
    },
    good = { -- a header of a floor below, a static function of the same name, a comment
      ["src/script/a.c"] = '#include "script/b.h"\n' .. fn("void a_go(void)", "    b_go();\n"),
      ["src/script/b.c"] = fn("static void a_go(void)", "") .. "\n" ..
        fn("void b_go(void)", "    a_go(); // b\n"),
      ["src/script/b.h"] = '#include "http/a.h"\n', ["src/http/a.h"] = "",
    },
  },
  ["no struct has more than 12 members that other files touch"] = {
    bad = { -- through a variable, a member of another struct, a call, and a macro
      ["src/base/a.h"] = struct("a", 13) .. "struct b {\n    struct a *a;\n};\n" ..
        "struct a *a_of(int b);\n",
      ["src/base/b.c"] = fn("void b(struct b *b, struct a *as)", touches("as[1].", 1, 4) ..
        touches("b->a->", 5, 7) .. touches("a_of(1)->", 8, 10) ..
        touches("LIST_ITEM(b, struct a, node)->", 11, 12) .. touches("((struct a *)b)->", 13, 13)),
    },
    good = { -- one member is touched in the struct's own file alone, one of another struct
      ["src/base/a.h"] = struct("a", 13),
      ["src/base/a.c"] = fn("void a(struct a *a)", touches("a->", 1, 13)),
      ["src/base/b.c"] = "struct b {\n    int m13;\n};\n" ..
        fn("void b(struct a *a, struct b *b)", touches("a->", 1, 12) .. touches("b->", 13, 13)),
    },
  },
  ["no file is longer than 600 lines"] = {
    bad = { ["src/base/a.c"] = ("\n"):rep(601) },
    good = { ["src/base/a.c"] = ("\n"):rep(600) },
  },
  ["no function is longer than 60 lines"] = {
    bad = { ["src/base/a.c"] = fn("void a(void)", ("    b();\n"):rep(58)) },
    good = { ["src/base/a.c"] = fn("void a(void)", ("    b();\n"):rep(57)) },
  },
  ["no function takes more than 5 parameters"] = {
    bad = { ["src/base/a.c"] = fn("void a(int b, int c, int d,\n       int e, int f, int g)", "") },
    good = { ["src/base/a.c"] = fn("void a(int b, int c, void (*d)(int, int), int e, int f)", "") },
  },
  ["no function nests deeper than 3"] = {
    bad = { ["src/base/a.c"] = fn("void a(void)", "if (b) {\nfor (;;) {\nif (c) {\nx();\n" ..
      "} else {\nwhile (d) {\n}\n}\n}\n}\n") },
    good = { ["src/base/a.c"] = fn("void a(void)", "struct x x = {{1}};\nif (b) {\nfor (;;) {\n" ..
      "if (c) {\nx = (struct x){{{1}}};\n}\n}\n}\nif (d) {\n}\n") },
  },
  ["no line is wider than 100 columns"] = {
    bad = { ["spec/a.lua"] = ("x"):rep(101) .. "\n" },
    good = { ["spec/a.lua"] = ("\u{2013}"):rep(100) .. "\n" },
  },
  ["no tabs, no spaces at line ends, one newline at the end"] = {
    bad = { ["src/base/a.c"] = "int\ta;\n" },
    good = { ["src/base/a.c"] = "int a;\n" },
  },
  ["every C file says its licence in the first line"] = {
    bad = { ["spec/unit/a.c"] = "int a;\n" },
    good = { ["spec/unit/a.c"] = SPDX },
  },
  ["every header has its paragraph, and is guarded by pragma once"] = {
    bad = { ["src/base/a.h"] = SPDX .. "#pragma once\n" },
    good = { ["src/base/a.h"] = HEADER },
  },
  ["banned functions are not called"] = {
    bad = { ["src/script/box.c"] = "x = lua_pcall(L, 0, 0, 0);\n" },
    good = {
      ["src/script/box.c"] = "// sprintf(\nx = \"atoi(\"; snprintf(a); mem_free(b); c.free(d);\n",
      ["src/base/mem.c"] = "free(a);\n", ["src/script/call.c"] = "lua_pcall(L, 0, 0, 0);\n",
    },
  },
  ["wire is pure: no clock, no input, no output"] = {
    bad = { ["src/wire/date.c"] = "now = time(NULL);\n" },
    good = { ["src/wire/date.c"] = "date_time(a); snprintf(b);\n" },
  },
  ["libuv is spoken to in net alone"] = {
    bad = { ["src/http/conn.c"] = "uv_close(a);\n" },
    good = {
      ["src/http/conn.c"] = "return UV_EOF; // uv_close\n", ["src/net/tcp.c"] = "uv_close(a);\n",
    },
  },
  ["a TODO names its issue"] = {
    bad = { ["src/base/a.c"] = "// TODO: later\n" },
    good = { ["src/base/a.c"] = "// TODO(#12): later\n" },
  },
  ["only functions whose names say so raise errors of Lua"] = {
    bad = { -- by way of a function of another file
      ["src/script/a.c"] = fn("static int a(lua_State *L)", "    return check_b(L);\n"),
      ["src/script/b.c"] = fn("int check_b(lua_State *L)", "    return luaL_checkany(L, 1);\n"),
    },
    good = { -- and a static function of the same name that does not raise
      ["src/script/a.c"] = fn("static void check_b(void)", "") .. "\n" ..
        fn("static void a(void)", "    check_b(); // lua_error(L)\n"),
      ["src/script/b.c"] = fn("int check_b(lua_State *L)", "    return raise_c(L);\n") .. "\n" ..
        fn("static int raise_c(lua_State *L)", "    return lua_error(L);\n") .. "\n" ..
        fn("int b_go_or_raise(lua_State *L)", "    return check_b(L);\n"),
    },
  },
  ["comments are // comments"] = {
    bad = { ["src/base/a.c"] = "/* a */\n" },
    good = { ["src/base/a.c"] = "// a /* b */\nx = \"/*\";\n" },
  },
  ["structs have no typedef, and names no _t of our own"] = {
    bad = { ["src/base/a.h"] = "typedef struct a a;\n" },
    good = { ["src/base/a.h"] = "typedef void (*a_fn)(struct b *b, size_t c);\n" },
  },
  ["what ends something has a verb of the table in CONTRIBUTING.md"] = {
    bad = {
      ["CONTRIBUTING.md"] = VERBS, ["src/net/a.c"] = fn("static void dismiss_all(void)", ""),
    },
    good = { ["CONTRIBUTING.md"] = VERBS,
      ["src/net/a.c"] = fn("static void close_all(struct discarded *cut)", "") .. "\n" ..
        fn("static int l_delete(lua_State *L)", "    forget(L);\n") },
  },
  ["a failure is an errno or a row of base/error.h"] = {
    bad = { ["src/net/a.h"] = "enum a_refusal {\n    A_BAD = -1,\n    A_WORSE = -2,\n};\n" },
    good = {
      ["src/base/error.h"] = "enum error { ERROR_A = -10001 };\n",
      ["src/net/a.h"] = "enum a { A, B };\nenum { A_LOWEST = -6, A_NONE = -1 };\n" ..
        "MUST_USE int a_open(const char *name, struct a **a);\n" ..
        "MUST_USE char *a_reserve(size_t size);\n" ..
        "struct a *a_find(int *index, void (*fn)(int *why));\n",
      ["src/net/a.c"] = fn("static int compare(int a, int b)", "    return -1;\n") .. "\n" ..
        fn("int a_open(const char *name, struct a **a)", "    return -EINVAL - 1;\n"),
    },
  },
  ["a floor has 20 assertions in 1 000 lines"] = {
    bad = { ["src/other/a.c"] = "    CHECK(a);\n" .. ("\n"):rep(50) },
    good = { ["src/other/a.c"] = "    CHECK(a);\n" .. ("\n"):rep(49) },
  },
  ["what is begun can be ended"] = {
    bad = {
      ["CONTRIBUTING.md"] = VERBS, ["src/net/a.h"] = "int a_open(int b);\nint b_close(void);\n",
    },
    good = { ["CONTRIBUTING.md"] = VERBS,
      ["src/net/a.h"] = "int a_open(int b);\nvoid a_close_all(void);\nint b_start(void);\n" ..
        "void c_init(struct c *c);\n",
      ["src/net/a.c"] = fn("void c_init(struct c *c)", "    list_init(&c->list);\n") },
  },
}

describe("the house rule:", function()
  local files = project()

  for name, rule in pairs(tidy.rules) do
    it(name, function()
      local complaints = rule(files)
      assert(#complaints == 0, table.concat(complaints, "\n"))
    end)
  end

  local median, tenth, count = tidy.function_lines(files)
  it(("the median of %d functions has %d lines (at most 12; nine tenths have %d or less)"):format(
    count, median, tenth), function()
    assert.is_true(median <= tidy.limits.median_lines)
  end)

  it("no function is excused from a rule of verbs that keeps it", function()
    assert.same({}, verbs.needlessly_excused(files))
  end)

  it("no failure is excused from the rule of errors that keeps it", function()
    assert.same({}, errors.needlessly_excused(files))
  end)

  it("every header compiles alone", function()
    local _, flags = Process.run { "pkg-config", "--cflags", "lua5.4", "libuv", "libpq" }
    for path in pairs(files) do
      local header = path:match("^src/(.+%.h)$")
      if header then
        local argv = { "gcc", "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra",
          "-Werror", "-Isrc", "-I/usr/share/include/llhttp", "-include", header,
          "-x", "c", "/dev/null" }
        for flag in flags:gmatch("%S+") do
          table.insert(argv, 2, flag)
        end
        local code, _, complaints = Process.run(argv)
        assert(code == 0, complaints)
      end
    end
  end)
end)

describe("the judge of the rule:", function()
  for name, rule in pairs(tidy.rules) do
    it(name .. ", sees what breaks it and lets pass what does not", function()
      local example = assert(EXAMPLES[name], "no example")
      local complaints = rule(example.bad)
      assert.equal(1, #complaints, table.concat(complaints, "\n"))
      assert.same({}, rule(example.good))
    end)
  end

  it("measures functions as they stand", function()
    local functions = source.functions(SPDX .. [[
#define A(b)                                                                                       \
    c(b)
static const struct b B = {
    1,
};

static void first(struct a *a, void (*fn)(int, int),
                  int c)
{
    if (a != NULL) {
        fn(1, 2);
    }
}

/// Says why.
int second(void)
{
    switch ('}') {
    case 1: {
        return 2;
    }
    }
}
]])
    assert.same({
      { name = "first", line = 8, lines = 7, parameters = 3, nesting = 1, is_static = true },
      { name = "second", line = 17, lines = 8, parameters = 0, nesting = 2, is_static = false },
    }, functions)
  end)

  it("computes the median and the ninth tenth", function()
    local text = ""
    for count = 1, 10 do
      text = text .. fn("void a(void)", ("b();\n"):rep(count)) .. "\n"
    end
    assert.same({ 8, 12, 10 }, { tidy.function_lines { ["src/base/a.c"] = text } })
  end)

  it("sees circles between files by includes, by tables, and by longer ways", function()
    local rule = tidy.rules["files of a floor do not use each other in circles"]
    assert.same({ "circle: src/script/a -> src/script/b -> src/script/a" }, rule {
      ["src/script/a.c"] = '#include "script/b.h"\n', ["src/script/b.h"] = "",
      ["src/script/b.c"] = '#include "script/a.h"\n', ["src/script/a.h"] = "",
    })
    assert.same({ "circle: src/script/a -> src/script/b -> src/script/c -> src/script/a" }, rule {
      ["src/script/a.c"] = "const struct x a_class = { b_list };\n",
      ["src/script/b.c"] = "const struct x b_list[] = {{c_go}};\n",
      ["src/script/c.c"] = fn("int c_go(void)", "    return a_class.y;\n"),
    })
  end)

  it("wants a second half only of an init that acquires something", function()
    local rule = tidy.rules["what is begun can be ended"]
    local header = "void a_init(struct a *a);\nvoid b_init(struct b *b);\n" ..
      "void b_reset(struct b *b);\n"
    local function complaints(body)
      return rule { ["CONTRIBUTING.md"] = VERBS, ["src/net/a.h"] = header,
        ["src/net/a.c"] = fn("void a_init(struct a *a)", body) }
    end
    assert.same({}, complaints("    a->count = 0;\n"))
    for _, body in ipairs { "    b_init(&a->b);\n", "    a->b = b_new();\n",
      "    a->b = mem_alloc(1);\n" } do
      assert.same({ "src/net/a.h:1: a_init has no a_deinit, and no a_reset" }, complaints(body))
    end
  end)

  it("sees every way of failing that is no negative errno", function()
    local rule = tidy.rules["a failure is an errno or a row of base/error.h"]
    for text, complaint in pairs {
      ["enum a { A, A_NO = -3 };\n"] = "a.c:1: enum a: -3 is no errno and no row of base/error.h",
      [fn("int a(void)", "    return -1;\n")] = "a.c:2: a returns -1, which is -EPERM",
      ["struct a *a_new(int b,\n               int *failure);\n"] =
        "a.c:1: a_new returns a pointer, and why there is none elsewhere",
      ["\nstruct a *a_new(int b, char **why);\n"] =
        "a.c:2: a_new returns a pointer, and why there is none elsewhere",
      ["MUST_USE const char *a_parse(int b);\n"] = "a.c:1: a_parse returns a text",
    } do
      assert.same({ "src/net/" .. complaint }, rule { ["src/net/a.c"] = text })
    end
    local excused = errors.excused
    errors.excused = { ["src/net/a.c:a"] = true }
    assert.same({ "src/net/a.c:a" }, errors.needlessly_excused {})
    errors.excused = excused
  end)

  it("counts every kind of assertion, and no definition of one", function()
    local rates = assertions.of_floors {
      ["src/net/a.c"] = "#define CHECK(a) b\nCHECK(a); // CHECK(b)\nDCHECK(a);\n" ..
        "static_assert(a, \"\");\nUNREACHABLE();\nDEBUG_CALL(a_check(b));\n" ..
        "DCHECK_OWNER(a);\ncheck_box(a);\n" .. ("\n"):rep(92),
    }
    assert.same({ net = 60 }, rates)
  end)

  it("names the functions that are excused and break no rule of verbs", function()
    local needless = verbs.needlessly_excused { ["CONTRIBUTING.md"] = VERBS }
    assert.equal("src/script/task.h:task_new", needless[#needless])
  end)

  it("sees names that say without reason that a function raises", function()
    assert.same({ "src/script/a.c:2: go_or_raise never raises" },
      tidy.rules["only functions whose names say so raise errors of Lua"] {
        ["src/script/a.c"] = fn("static void go_or_raise(lua_State *L)", "    lua_pushnil(L);\n"),
      })
  end)

  it("sees a circle of three headers", function()
    local complaints = tidy.rules["headers do not include each other in circles"] {
      ["src/base/a.h"] = '#include "base/b.h"\n', ["src/base/b.h"] = '#include "base/c.h"\n',
      ["src/base/c.h"] = '#include "base/a.h"\n',
    }
    assert.equal(1, #complaints)
  end)
end)
