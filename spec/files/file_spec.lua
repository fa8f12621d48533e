-- `response:file`: what a client gets of one file. Small files are sent from memory, large ones as
-- a download, so what depends on the content is asked of both.

local lfs = require "lfs"
local apps = require "spec.support.app"
local support = require "spec.files.support"

local LARGE = 200 * 1024

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local root = %q
server:get("/file/*path", function(request, response)
  return response:file(request.params.path, { root = root })
end)
server:post("/file/*path", function(request, response)
  return response:file(request.params.path, { root = root })
end)
server:get("/cached", function(_, response)
  return response:file("a.txt", { root = root, cache = 60 })
end)
server:get("/download", function(request, response)
  return response:file("a.txt", { root = root, download = request.query.name })
end)
server:get("/typed", function(_, response)
  return response:type("text/x-special"):file("a.txt", { root = root })
end)
server:get("/lost", function(_, response)
  return response:status(404):file("a.txt", { root = root })
end)
server:get("/result", function(_, response)
  local ok, why, code = response:file("missing", { root = root })
  lunesse.log.info("result", { ok = tostring(ok), why = why, code = code })
end)
server:get("/absolute", function(_, response)
  return response:file(root .. "/a.txt")
end)
server:get("/twice", function(_, response)
  response:file("a.txt", { root = root })
  local ok, message = pcall(response.file, response, "a.txt", { root = root })
  lunesse.log.info("twice", { ok = tostring(ok), message = tostring(message) })
end)
]]

describe("a file", function()
  local app, root, large

  before_each(function()
    large = support.bytes(LARGE)
    root = support.tree {
      ["a.txt"] = "0123456789", ["empty.txt"] = "", ["large.bin"] = large,
      ["folder/b.html"] = "<p>",
      [".hidden"] = "secret", [".git/config"] = "secret",
    }
    app = apps.load({ ["script.lua"] = SCRIPT:format(root) })
  end)

  after_each(function()
    apps.stop_all()
    support.remove_all()
  end)

  local function get(path, headers)
    return app:get(path, { headers = headers })
  end

  it("is sent with its type, its length, when it was changed, and a strong tag", function()
    local answer = get("/file/a.txt")
    answer:expect {
      status = 200, text = "0123456789", headers = {
        ["Content-Type"] = "text/plain; charset=utf-8", ["Content-Length"] = "10",
        ["Last-Modified"] = support.MODIFIED_TEXT, ["Accept-Ranges"] = "bytes",
      },
    }
    assert.truthy(answer.headers["etag"]:find('^"[^"]+"$'))
    assert.is_nil(answer.headers["content-disposition"])
    assert.is_nil(answer.headers["vary"])
  end)

  it("is sent whole, however large it is", function()
    local answer = get("/file/large.bin")
    assert.equal("application/octet-stream", answer.headers["content-type"])
    assert.equal(tostring(LARGE), answer.headers["content-length"])
    assert.is_true(answer:text() == large)
  end)

  it("may be empty, and in a folder", function()
    get("/file/empty.txt"):expect {
      status = 200, text = "", headers = { ["Content-Length"] = "0" },
    }
    get("/file/folder/b.html"):expect { status = 200, text = "<p>" }
  end)

  it("has the same head for HEAD, and no body", function()
    for _, name in ipairs { "a.txt", "large.bin", "empty.txt" } do
      local got, head = get("/file/" .. name), app:head("/file/" .. name)
      assert.equal(200, head.status)
      assert.equal("", head:text())
      for _, header in ipairs { "content-length", "etag", "last-modified", "content-type" } do
        assert.equal(got.headers[header], head.headers[header])
      end
    end
    get("/file/a.txt"):expect(200) -- the connection goes on after HEAD
  end)

  it("that the client has is not sent again", function()
    for _, name in ipairs { "a.txt", "large.bin" } do
      local path = "/file/" .. name
      local tag = get(path).headers["etag"]
      for _, headers in ipairs {
        { ["If-None-Match"] = tag }, { ["If-None-Match"] = "W/" .. tag },
        { ["If-None-Match"] = '"x", ' .. tag }, { ["If-None-Match"] = { '"x"', tag } },
        { ["If-None-Match"] = "*" }, { ["If-Modified-Since"] = support.MODIFIED_TEXT },
        { ["If-Modified-Since"] = support.LATER_TEXT },
        { ["If-None-Match"] = tag, ["If-Modified-Since"] = support.EARLIER_TEXT },
      } do
        local answer = get(path, headers)
        answer:expect { status = 304, text = "" }
        assert.equal(tag, answer.headers["etag"])
        assert.equal(support.MODIFIED_TEXT, answer.headers["last-modified"])
        assert.is_nil(answer.headers["content-length"])
        assert.is_nil(answer.headers["content-type"])
      end
      get(path, { ["If-None-Match"] = '"x"' }):expect(200)
      get(path, { ["If-None-Match"] = '"x"', ["If-Modified-Since"] = support.LATER_TEXT })
        :expect(200)
      get(path, { ["If-Modified-Since"] = support.EARLIER_TEXT }):expect(200)
    end
  end)

  it("that is another one than the client wants is refused", function()
    local tag = get("/file/a.txt").headers["etag"]
    get("/file/a.txt", { ["If-Match"] = tag }):expect(200)
    get("/file/a.txt", { ["If-Unmodified-Since"] = support.MODIFIED_TEXT }):expect(200)
    for _, headers in ipairs {
      { ["If-Match"] = '"x"' }, { ["If-Match"] = "W/" .. tag },
      { ["If-Unmodified-Since"] = support.EARLIER_TEXT },
      { ["If-Match"] = '"x"', ["If-None-Match"] = tag },
    } do
      local answer = get("/file/a.txt", headers)
      answer:expect { status = 412, text = "412: the file is another one by now\n" }
      assert.is_nil(answer.headers["etag"])
    end
  end)

  it("has another tag when it has changed", function()
    local tag = get("/file/a.txt").headers["etag"]
    local file = assert(io.open(root .. "/a.txt", "w"))
    file:write("9876543210")
    file:close()
    assert.are_not.equal(tag, get("/file/a.txt").headers["etag"])
    get("/file/a.txt", { ["If-None-Match"] = tag }):expect { status = 200, text = "9876543210" }
  end)

  it("is sent in one range", function()
    for name, text in pairs { ["a.txt"] = "0123456789", ["large.bin"] = large } do
      local size = #text
      for range, places in pairs {
        ["0-0"] = { 0, 0 }, ["2-5"] = { 2, 5 }, ["3-"] = { 3, size - 1 },
        ["-4"] = { size - 4, size - 1 }, ["5-99999999"] = { 5, size - 1 },
      } do
        local answer = get("/file/" .. name, { Range = "bytes=" .. range })
        assert.equal(206, answer.status)
        assert.equal(("bytes %d-%d/%d"):format(places[1], places[2], size),
          answer.headers["content-range"])
        assert.is_true(answer:text() == text:sub(places[1] + 1, places[2] + 1))
      end
    end
  end)

  it("is sent in several ranges", function()
    for name, text in pairs { ["a.txt"] = "0123456789", ["large.bin"] = large } do
      local answer = get("/file/" .. name, { Range = "bytes=0-1,4-4,-2" })
      assert.equal(206, answer.status)
      assert.is_nil(answer.headers["content-range"])
      local size = #text
      local type = get("/file/" .. name).headers["content-type"]
      assert.same({
        { type = type, range = ("bytes 0-1/%d"):format(size), body = text:sub(1, 2) },
        { type = type, range = ("bytes 4-4/%d"):format(size), body = text:sub(5, 5) },
        {
          type = type, range = ("bytes %d-%d/%d"):format(size - 2, size - 1, size),
          body = text:sub(-2),
        },
      }, support.parts(answer))
    end
  end)

  it("has large ranges, too", function()
    local answer = get("/file/large.bin", { Range = "bytes=1-70000,100000-199999" })
    local parts = support.parts(answer)
    assert.is_true(parts[1].body == large:sub(2, 70001))
    assert.is_true(parts[2].body == large:sub(100001, 200000))
  end)

  it("has no range behind its end", function()
    for _, range in ipairs { "bytes=10-", "bytes=-0", "bytes=20-30,40-50" } do
      local answer = get("/file/a.txt", { Range = range })
      answer:expect {
        status = 416, text = "416: no such range of the file\n",
        headers = { ["Content-Range"] = "bytes */10" },
      }
      assert.is_nil(answer.headers["etag"])
    end
    get("/file/empty.txt", { Range = "bytes=0-" }):expect(416)
  end)

  it("has at most sixteen ranges", function()
    local ranges = {}
    for i = 0, 10000 - 1 do
      ranges[#ranges + 1] = ("%d-%d"):format(i * 3, i * 3)
    end
    local function ask(count)
      return get("/file/large.bin", { Range = "bytes=" .. table.concat(ranges, ",", 1, count) })
    end
    assert.equal(206, ask(16).status)
    assert.equal(416, ask(17).status)
    assert.equal(416, ask(1000).status)
    assert.equal(431, ask(10000).status) -- the head is larger than `head_bytes`
  end)

  it("is sent whole where Range is a mistake, or asks for more than there is", function()
    for _, range in ipairs { "bytes=5-4", "bytes", "lines=1-2", "bytes=0-9,0-9", "bytes=a-" } do
      get("/file/a.txt", { Range = range }):expect { status = 200, text = "0123456789" }
    end
  end)

  it("is sent in a range only if it is still the same", function()
    local tag = get("/file/a.txt").headers["etag"]
    local function ask(if_range)
      return get("/file/a.txt", { Range = "bytes=0-1", ["If-Range"] = if_range }).status
    end
    assert.equal(206, ask(tag))
    assert.equal(206, ask(support.MODIFIED_TEXT))
    assert.equal(200, ask('"x"'))
    assert.equal(200, ask("W/" .. tag))
    assert.equal(200, ask(support.EARLIER_TEXT))
    assert.equal(200, ask(support.LATER_TEXT))
    assert.equal(200, ask("nonsense"))
  end)

  it("has conditions and ranges for GET alone", function()
    local tag = get("/file/a.txt").headers["etag"]
    app:post("/file/a.txt", { headers = { ["If-None-Match"] = tag, Range = "bytes=0-1" } })
      :expect { status = 200, text = "0123456789" }
    local head = app:head("/file/a.txt", { headers = { Range = "bytes=0-1" } })
    head:expect { status = 200, headers = { ["Content-Length"] = "10" } }
    app:head("/file/a.txt", { headers = { ["If-None-Match"] = tag } }):expect(304)
  end)

  it("is not there when it is hidden, a folder or outside", function()
    assert(lfs.link("/etc/passwd", root .. "/out", true))
    assert(lfs.link("/etc", root .. "/etc", true))
    assert(lfs.link("..", root .. "/folder/up", true))
    assert(lfs.link("nowhere", root .. "/broken", true))
    for _, path in ipairs {
      "missing", "folder", "folder/", ".hidden", ".git/config", "a.txt/", "a.txt/b",
      "folder//b.html",
      "out", "etc/passwd", "broken", "folder/up/../../../etc/passwd", "/etc/passwd", "",
      ("x"):rep(300), ("x/"):rep(2000) .. "x",
    } do
      local answer = get("/file/" .. path)
      assert.is_true(answer.status == 404 or answer.status == 400, path .. answer.status)
      assert.is_nil(answer:text():find("secret"))
      assert.is_nil(answer.headers["etag"])
    end
    get("/file/folder/up/a.txt"):expect(200) -- a link that stays inside
  end)

  it("that is a pipe or a device is not there, and nobody waits for it", function()
    assert(os.execute(("mkfifo '%s/pipe'"):format(root)))
    get("/file/pipe"):expect(404)
  end)

  it("that nobody may read is not there", function()
    if os.getenv("USER") == "root" or io.open("/etc/shadow") then
      return -- root may read everything
    end
    os.execute(("chmod 0 '%s/a.txt'"):format(root))
    get("/file/a.txt"):expect(404)
  end)

  it("may be kept for a while", function()
    local answer = get("/cached")
    assert.equal("public, max-age=60", answer.headers["cache-control"])
    local again = get("/cached", { ["If-None-Match"] = answer.headers["etag"] })
    again:expect { status = 304, headers = { ["Cache-Control"] = "public, max-age=60" } }
  end)

  it("is a download with a name", function()
    get("/download?name=report.txt"):expect { headers = {
      ["Content-Disposition"] = 'attachment; filename="report.txt"',
    } }
    get("/download?name=%E2%82%AC%20%22x%22.txt"):expect { headers = {
      ["Content-Disposition"] =
        [[attachment; filename="_ _x_.txt"; filename*=UTF-8''%E2%82%AC%20%22x%22.txt]],
    } }
  end)

  it("has the type that the script has set", function()
    local answer = get("/typed")
    assert.equal("text/x-special", answer.headers["content-type"])
    local parts = support.parts(get("/typed", { Range = "bytes=0-0,2-2" }))
    assert.equal("text/x-special", parts[2].type)
  end)

  it("is sent with another status, whatever the request asks", function()
    get("/lost", { Range = "bytes=0-1", ["If-None-Match"] = "*" })
      :expect { status = 404, text = "0123456789" }
  end)

  it("that is not there is answered, and told to the script", function()
    get("/result"):expect { status = 404 }
    local fields = app:log("^result$")[1].fields
    assert.same({ "nil", "there is no such file", "ENOENT" },
      { fields.ok, fields.why, fields.code })
  end)

  it("can be named by its whole path", function()
    get("/absolute"):expect { status = 200, text = "0123456789" }
  end)

  it("is one answer", function()
    get("/twice"):expect { status = 200, text = "0123456789" }
    assert.truthy(app:log("^twice$")[1].fields.message:find("the response is already sent"))
  end)
end)

describe("the file that a script names", function()
  after_each(function()
    apps.stop_all()
    support.remove_all()
  end)

  it("is beside the script", function()
    local folder = support.tree {
      ["pages/page.html"] = "<p>beside",
      ["pages/site.lua"] = [[
        local server = require("lunesse").server()
        server:get("/a", function(_, response) return response:file("page.html") end)
        server:get("/b", function(_, response)
          response:file("page.html", { root = "." })
        end)
      ]],
    }
    local app = apps.load(folder .. "/pages/site.lua")
    app:get("/a"):expect { status = 200, text = "<p>beside" }
    app:get("/b"):expect { status = 200, text = "<p>beside" }
  end)

  it("is checked", function()
    local app = apps.start [[
      local wrong = {
        { nil }, { "" }, { "a\0b" }, { 7 }, { "a", "b" }, { "a", { rot = "x" } },
        { "a", { root = 7 } }, { "a", { download = "" } }, { "a", { download = "\xff" } },
        { "a", { cache = -1 } },
        { "a", { cache = 1.5 } },
      }
      server:get("/", function(_, response)
        local messages = {}
        for i, arguments in ipairs(wrong) do
          messages[i] = select(2, pcall(function()
            response:file(arguments[1], arguments[2])
          end))
        end
        return response:send(table.concat(messages, "\n"))
      end)
    ]]
    local messages = app:get("/"):text()
    local count = 0
    for line in messages:gmatch("[^\n]+") do
      count = count + 1
      assert.truthy(line:find("script%.lua:%d+: "), line)
    end
    assert.equal(11, count)
    assert.truthy(messages:find(
      "unknown option 'rot'; there are cache, download, precompressed, root", 1, true))
  end)
end)
