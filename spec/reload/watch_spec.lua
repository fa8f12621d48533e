-- With --watch what is saved is served: however an editor, a checkout or a deploy puts it there.

local lfs = require "lfs"
local support = require "spec.reload.support"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local strace = require "spec.support.strace"

local get, says = support.get, support.says

---A script that answers with `word`, as a file's text.
local function text(word)
  return support.script(says(word))
end

---A script that answers with what its module `name` returns.
local function asks(name)
  return support.script(
    ('local word = require %q server:get("/", function(_, response) response:send(word) end)')
      :format(name))
end

---Starts a server that watches `folder`, or a path in it.
local function watch(folder, path, options)
  options = options or {}
  options.path = folder .. (path or "")
  options.args = { "--watch", table.unpack(options.args or {}) }
  return Server.start(nil, options)
end

local function await(server, word)
  eventually(function()
    return get(server, "/") == word
  end)
end

---Waits until the program has failed to load `count` times.
local function await_failures(server, count)
  eventually(function()
    return support.count(server, "failed") >= count
  end)
end

---Puts a file in the place of another, as editors do.
local function put(path, content)
  Process.write_file(path .. ".new", content)
  assert(os.rename(path .. ".new", path))
end

---Makes `name` a link to `target`, in one step, as deploys do.
local function switch(name, target)
  assert(lfs.link(target, name .. ".next", true))
  assert(os.rename(name .. ".next", name))
end

describe("--watch", function()
  it("ends with 1 when the scripts do not load at the start: no code could go on", function()
    for _, option in ipairs { "--watch", "--dev" } do
      local folder = Server.write { ["a.lua"] = "(" }
      local code, out, err = Server.run { option, "--port", "0", folder }
      assert.same({ 1, "" }, { code, out })
      assert.matches("^lunesse: [^\n]*a%.lua:1: unexpected symbol", err)
    end
  end)

  it("loads what was written in place", function()
    local folder = Server.write { ["a.lua"] = text "old" }
    local server = watch(folder)
    for i = 1, 3 do
      Process.write_file(folder .. "/a.lua", text("new " .. i))
      await(server, "new " .. i)
    end
  end)

  it("loads what was put in the place of a file, and so the one script that is named", function()
    local folder = Server.write { ["a.lua"] = text "old" }
    local server = watch(folder, "/a.lua")
    for i = 1, 3 do
      put(folder .. "/a.lua", text("new " .. i))
      await(server, "new " .. i)
    end
  end)

  it("watches a script whatever its name ends with", function()
    local folder = Server.write { ["app"] = text "old" }
    local server = watch(folder, "/app")
    put(folder .. "/app", text "new")
    await(server, "new")
    Process.write_file(folder .. "/app", text "newer")
    await(server, "newer")
  end)

  it("sees scripts come and go", function()
    local folder = Server.write { ["a.lua"] = support.script "" }
    local server = watch(folder)
    Process.write_file(folder .. "/b.lua", text "here")
    await(server, "here")
    os.remove(folder .. "/b.lua")
    await(server, "404: no route for this path\n")
  end)

  it("sees a module change, beside the scripts and in a folder of its own", function()
    for _, name in ipairs { "word", "inner.deep.word" } do
      local path = name:gsub("%.", "/") .. ".lua"
      local folder = Server.write { ["a.lua"] = asks(name), [path] = 'return "old"' }
      local server = watch(folder)
      assert.equal("old", get(server, "/"))
      Process.write_file(folder .. "/" .. path, 'return "new"')
      await(server, "new")
      put(folder .. "/" .. path, 'return "newer"')
      await(server, "newer")
    end
  end)

  it("sees the module of a pool, which only its threads require", function()
    local folder = Server.write {
      ["a.lua"] = support.script [[
local pool = lunesse.pool { module = "inner.words" }
server:get("/", function(_, response) response:send(pool.word()) end)]],
      ["inner/words.lua"] = 'return { word = function() return "old" end }',
    }
    local server = watch(folder)
    assert.equal("old", get(server, "/"))
    Process.write_file(folder .. "/inner/words.lua",
      'return { word = function() return "new" end }')
    await(server, "new")
  end)

  it("sees a module that only a handler requires", function()
    local folder = Server.write {
      ["a.lua"] = support.script [[
server:get("/", function(_, response) response:send(require "inner.word") end)
server:get("/wait", function(_, response) lunesse.sleep(0.1) response:send("over") end)
]],
      ["inner/word.lua"] = 'return "old"',
    }
    local server = watch(folder, "", { workers = 1 })
    assert.equal("old", get(server, "/"))
    eventually(function()
      put(folder .. "/inner/word.lua", 'return "new"') -- until it is seen
      return get(server, "/wait") == "over" and get(server, "/") == "new"
    end, 5)
  end)

  it("takes a burst of saves for one", function()
    local folder = Server.write { ["a.lua"] = text "0" }
    local server = watch(folder)
    for i = 1, 100 do
      Process.write_file(folder .. "/a.lua", text(tostring(i)))
    end
    await(server, "100")
    assert.is_true(support.count(server, "reloaded") + support.count(server, "failed") <= 10)
  end)

  it("asks the kernel for nothing more when files are edited", function()
    local folder = Server.write { ["scripts/a.lua"] = text "old" }
    local server = watch(folder, "/scripts", { args = { "--workers=1" } })
    local traced = strace.during(server, "inotify_add_watch,inotify_rm_watch,write,writev",
      "reloaded.*\n.*reloaded", function()
        put(folder .. "/scripts/a.lua", text "new")
        await(server, "new")
        put(folder .. "/scripts/b.lua", support.script "")
        eventually(function() return support.count(server, "reloaded") == 2 end)
      end)
    if not traced then
      return pending("strace is not there, or may not attach")
    end
    assert.not_matches("inotify", traced)
  end)

  it("is not kept waiting by saves that never end", function()
    local folder = Server.write { ["a.lua"] = text "old" }
    local server = watch(folder)
    local writer = Process.start { "sh", "-c", 'while :; do echo x > "$0/x.js"; done', folder }
    put(folder .. "/a.lua", text "new")
    await(server, "new")
    writer:kill()
    writer:forget()
  end)

  it("leaves the old code while a script is broken, and takes it when it is mended", function()
    local folder = Server.write { ["a.lua"] = text "old" }
    local server = watch(folder)
    put(folder .. "/a.lua", "local = 1")
    await_failures(server, 1)
    assert.equal("old", get(server, "/"))
    put(folder .. "/a.lua", text "mended")
    await(server, "mended")
  end)

  it("does not load for files that are no source", function()
    local folder = Server.write {
      ["a.lua"] = support.script [[
server:get("/wait", function(_, response) lunesse.sleep(0.1) response:send("over") end)
]],
    }
    local server = watch(folder, "", { workers = 1 })
    for _, name in ipairs { "notes.txt", "data.json", ".a.lua", "a.lua~", "4913", "lua" } do
      put(folder .. "/" .. name, "x")
    end
    assert.equal("over", get(server, "/wait"))
    put(folder .. "/a.lua", text "new")
    await(server, "new")
    support.await_reloads(server, 1)
  end)

  it("loads for a page beside the scripts", function()
    local folder = Server.write { ["a.lua"] = text "old", ["page.html"] = "old" }
    local server = watch(folder)
    put(folder .. "/page.html", "new")
    support.await_reloads(server, 1)
  end)

  it("says once that there is more than it can watch, and serves on", function()
    local files = {
      ["a.lua"] = support.script [[
for i = 1, 400 do require(("m%d.inner.word"):format(i)) end
]] .. says "old",
    }
    for i = 1, 400 do
      files[("m%d/inner/word.lua"):format(i)] = ""
    end
    local folder = Server.write(files)
    local server = watch(folder)
    assert.equal(1, #server:log_lines("not watched"))
    assert.matches("warn .* path=%S+ max=1000$", server:log_lines("not watched")[1])
    put(folder .. "/a.lua", text "new")
    await(server, "new")
  end)
end)

describe("--watch goes on", function()
  it("when the folder is removed and made anew", function()
    local folder = Server.write { ["scripts/a.lua"] = text "old" }
    local server = watch(folder, "/scripts")
    for i = 1, 3 do
      Process.remove_folder(folder .. "/scripts")
      await_failures(server, i)
      assert(lfs.mkdir(folder .. "/scripts"))
      Process.write_file(folder .. "/scripts/a.lua", text("new " .. i))
      await(server, "new " .. i)
      Process.write_file(folder .. "/scripts/a.lua", text("newer " .. i))
      await(server, "newer " .. i)
    end
  end)

  it("when the folder moves away and another takes its place", function()
    local folder = Server.write { ["scripts/a.lua"] = text "old", ["other/a.lua"] = text "other" }
    local server = watch(folder, "/scripts/") -- with a slash, as shells complete it
    assert(os.rename(folder .. "/scripts", folder .. "/away"))
    assert(os.rename(folder .. "/other", folder .. "/scripts"))
    await(server, "other")
    put(folder .. "/scripts/a.lua", text "changed")
    await(server, "changed")
  end)

  for _, case in ipairs { { "names the folder", "/current" },
    { "leads to the folder", "/current/scripts" },
    { "leads to the script", "/current/scripts/a.lua" } } do
    it("when a link that " .. case[1] .. " is switched", function()
      local inner = case[2]:gsub("^/current", "")
      local function file(release)
        return ("rel/%d%s/a.lua"):format(release, (inner:gsub("/a.lua$", "")))
      end
      local folder = Server.write {
        [file(1)] = text "1", [file(2)] = text "2", [file(3)] = text "3",
      }
      switch(folder .. "/current", "rel/1")
      local server = watch(folder, case[2])
      for release = 2, 3 do
        switch(folder .. "/current", "rel/" .. release)
        await(server, tostring(release))
        put(folder .. "/" .. file(release), text("changed " .. release))
        await(server, "changed " .. release)
      end
    end)
  end

  it("when the folder of a module moves away and another takes its place", function()
    local folder = Server.write {
      ["a.lua"] = asks "inner.word", ["inner/word.lua"] = 'return "old"',
      ["other/word.lua"] = 'return "other"',
    }
    local server = watch(folder)
    assert(os.rename(folder .. "/inner", folder .. "/away"))
    await_failures(server, 1)
    assert(os.rename(folder .. "/other", folder .. "/inner"))
    await(server, "other")
    put(folder .. "/inner/word.lua", 'return "changed"')
    await(server, "changed")
  end)

  -- Each link is switched while what it led to stays where it was.
  for _, case in ipairs {
    { "on the way from a linked script", "app/a.lua", "../current/a.lua", "current", "rel/%d" },
    { "that a linked script's folder leads to", "app/a.lua", "../one/a.lua", "two", "rel/%d",
      { one = "two" } },
    { "of a volume as Kubernetes mounts it", "app/a.lua", "..data/a.lua", "app/..data", "..%d",
      nil, "app/..%d" },
  } do
    local what, script, target, link, release, links, kept = table.unpack(case, 1, 7)
    kept = kept or release
    it("when the link is switched " .. what, function()
      local files = { ["app/none.txt"] = "" }
      for number = 1, 3 do
        files[kept:format(number) .. "/a.lua"] = asks "word"
        files[kept:format(number) .. "/word.lua"] = ('return "%d"'):format(number)
      end
      local folder = Server.write(files)
      for from, to in pairs(links or {}) do
        switch(folder .. "/" .. from, to)
      end
      switch(folder .. "/" .. link, release:format(1))
      for _, name in ipairs { "a.lua", "word.lua" } do
        switch(folder .. "/app/" .. name, (target:gsub("a%.lua$", name)))
      end
      local server = watch(folder, "/" .. script:match("^%a+"))
      assert.equal("1", get(server, "/"))
      for number = 2, 3 do
        switch(folder .. "/" .. link, release:format(number))
        await(server, tostring(number))
        put(folder .. "/" .. kept:format(number) .. "/word.lua", 'return "changed"')
        await(server, "changed")
      end
    end)
  end

  it("when an inner link of the way to the scripts' folder is switched", function()
    local folder = Server.write { ["1/a.lua"] = text "1", ["2/a.lua"] = text "2", ["in/x"] = "" }
    switch(folder .. "/in/inner", "../1")
    switch(folder .. "/outer", "in/inner")
    local server = watch(folder, "/outer")
    switch(folder .. "/in/inner", "../2")
    await(server, "2")
    put(folder .. "/2/b.lua", "this is new and broken")
    await_failures(server, 1)
  end)

  it("serves on when links go round in a circle, and comes back with them", function()
    local folder = Server.write { ["1/a.lua"] = text "1", ["2/a.lua"] = text "2" }
    switch(folder .. "/current", "1")
    local server = watch(folder, "/current/a.lua")
    switch(folder .. "/current", "current")
    await_failures(server, 1)
    switch(folder .. "/current", "2")
    await(server, "2")
  end)

  it("behind a script or a module that is a link", function()
    local folder = Server.write {
      ["files/a.lua"] = asks "word", ["files/word.lua"] = 'return "old"', ["scripts/x.lua"] = "",
    }
    assert(lfs.link("../files/a.lua", folder .. "/scripts/a.lua", true))
    assert(lfs.link("../files/word.lua", folder .. "/scripts/word.lua", true))
    local server = watch(folder, "/scripts", { args = { "--workers=1" } })
    assert.equal("old", get(server, "/"))
    put(folder .. "/files/word.lua", 'return "new"')
    await(server, "new")
    put(folder .. "/files/a.lua", text "newest")
    await(server, "newest")
  end)
end)

describe("--dev", function()
  it("shows a browser what is wrong, until it is mended", function()
    local folder = Server.write { ["a.lua"] = text "old" }
    local server = Server.start(nil, { path = folder, args = { "--dev" } })
    local function page()
      return server:request { target = "/", headers = { Accept = "text/html,*/*;q=0.8" } }
    end
    put(folder .. "/a.lua", "\nerror('<moon> & stars')")
    await_failures(server, 1)
    local answer = eventually(function()
      local shown = page()
      return shown.status == 500 and shown
    end)
    assert.equal("text/html; charset=utf-8", answer.headers["content-type"])
    assert.equal("no-store", answer.headers["cache-control"])
    assert.matches("http%-equiv=refresh", answer.body)
    assert.matches("a%.lua:2: &lt;moon> &amp; stars", answer.body)
    assert.matches("stack traceback:", answer.body)
    assert.equal("old", get(server, "/")) -- who is no browser is answered as before
    put(folder .. "/a.lua", text "mended")
    eventually(function()
      return page().status == 200
    end)
    assert.equal("mended", page().body)
  end)

  describe("when a handler fails", function()
    local HTML = { Accept = "text/html,*/*;q=0.8" }
    local FAILING = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local function inner(moon)
  return moon.stars < 3 and "&"
end
server:get("/", function()
  inner(nil)
end)
local function check() error("no moon", 2) end
server:get("/caller", function() return 1, check() end)
server:get("/unanswered", function() end)
server:get("/no-text", function() error({}) end)
]]

    local function start()
      local folder = Server.write { ["a.lua"] = FAILING }
      return Server.start(nil, { path = folder, args = { "--dev" } }), folder .. "/a.lua"
    end

    local function page(server, target)
      return server:request { target = target, headers = HTML }
    end

    it("shows a browser the message, the file and line, and the code around it", function()
      local server, path = start()
      local answer = page(server, "/")
      assert.same({ 500, "text/html; charset=utf-8", "no-store" }, { answer.status,
        answer.headers["content-type"], answer.headers["cache-control"] })
      assert.truthy(answer.body:find("a.lua:4: attempt to index a nil value (local 'moon')<", 1,
        true))
      assert.truthy(answer.body:find(path .. ", line 4<", 1, true))
      assert.truthy(answer.body:find([[
   3  local function inner(moon)
<mark>   4    return moon.stars &lt; 3 and "&amp;"</mark>
   5  end
]], 1, true), answer.body)
      assert.truthy(answer.body:find("stack traceback:", 1, true))
      for target, line in pairs { ["/caller"] = 10, ["/unanswered"] = 11, ["/no-text"] = 12 } do
        local marked = page(server, target).body:match("<mark>(.-)</mark>")
        assert.matches(("^  %d  server:get%%("):format(line), marked)
      end
    end)

    it("answers in plain text who is no browser, and without --dev everybody", function()
      local server, path = start()
      assert.matches("^[^<]*a%.lua:4: [^<]*stack traceback:", server:request({}).body)
      local usual = Server.start(nil, { path = path })
      assert.equal("500: the handler failed; the server's log says why\n", page(usual, "/").body)
      local answer = usual:request { headers = { ["Lunesse-Code"] = "1-1", Accept = "text/html" } }
      assert.equal(500, answer.status)
    end)

    it("tells the page when there is newer code, without running the handler, or a word of it",
      function()
      local server, path = start()
      local code = page(server, "/").body:match("'Lunesse%-Code': '(%d+%-%d+)'")
      local function ask(what)
        return server:request({ headers = { ["Lunesse-Code"] = what } }).status
      end
      assert.same({ 204, 204, 205 }, { ask(code), ask(code), ask("1-1") })
      assert.equal(1, #server:log_lines("error script error"))
      assert.equal(0, #server:log_lines("status=204"))
      put(path, "error 'worse'")
      eventually(function()
        return ask(code) == 205
      end)
      assert.matches("worse", page(server, "/").body)
      put(path, text "mended")
      eventually(function()
        return page(server, "/").body == "mended"
      end)
      assert.equal(205, ask(code))
    end)

    it("has the lines of its traceback in the text log, and one record in the JSON log", function()
      local server, path = start()
      page(server, "/")
      assert.matches("error script error route=/ id=%S+ error=\"[^\n]*a%.lua:4: attempt to " ..
        "index a nil value %(local 'moon'%)\"\n  stack traceback:\n      %S*a%.lua:4: in ",
        server:log())
      local json = Server.start(nil, { path = path, args = { "--dev", "--log-format=json" } })
      page(json, "/")
      assert.matches('"error":"[^\n]*a%.lua:4: [^\n]*\\nstack traceback:\\n\\t[^\n]*"}\n',
        json:log())
      put(path, FAILING:gsub("error%({}%)", 'error(("\\n\\1"):rep(20000))'))
      eventually(function()
        page(server, "/no-text")
        return server:log():find('\n  "\\u0001"\n  "\\u0001"\n', 1, true)
      end)
      local usual = Server.start(nil, { path = path })
      page(usual, "/")
      assert.matches('error="[^\n]*a%.lua:4: [^\n]*\\nstack traceback:', usual:log())
    end)
  end)
end)
