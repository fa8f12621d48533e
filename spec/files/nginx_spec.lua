-- The same 500 requests to Debian's nginx and to `server:static`, over the same folder. What
-- differs is named in DIFFERENCES, with the reason; everything else has to be the same: status,
-- body, and the headers that say what the body is.

local lfs = require "lfs"
local posix = require "spec_posix"
local socket = require "socket"
local free_port = require "spec.support.free_port"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"
local support = require "spec.files.support"

local LARGE = 300 * 1024

local CONFIG = [[
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  default_type application/octet-stream;
  types { text/html html; text/css css; text/plain txt; text/javascript js; image/png png;
    application/gzip gz; }
  charset utf-8;
  charset_types text/html text/css text/plain text/javascript;
  gzip_static on;
  gzip_vary on;
  absolute_redirect off;
  server { listen 127.0.0.1:%d; root %s; max_ranges 16; if_modified_since before; }
}
]]

local PATHS = {
  "/", "/index.html", "/a.txt", "/empty.txt", "/large.bin", "/app.js", "/app.js.gz", "/style.css",
  "/sub", "/sub/", "/sub/page.html", "/sub/page.html/", "/bare", "/bare/", "/bare/x.png",
  "/missing", "/missing/", "/missing.txt", "/a.txt/x", "/a%20b.txt", "/a%2Etxt", "/%61.txt",
  "/a.txt?query=1", "/sub?query=1", "/a.txt?", "/a.txt%00", "/a.tx%74", "/A.TXT", "/%e2%82%ac.txt",
  "/a+b.txt", "//a.txt", "/sub//page.html", "/./a.txt", "/sub/../a.txt", "/sub/%2e%2e/a.txt",
  "/../a.txt", "/sub%2fpage.html", "/.hidden", "/.git/config", "/sub/.env", "/link.txt",
  "/out.txt", "/out/passwd", "/broken", "/secret.txt", ("/" .. ("x"):rep(300)), "/a.txt%", "/%zz",
}

local RANGES = {
  "bytes=0-0", "bytes=0-4", "bytes=5-", "bytes=-3", "bytes=-99999999", "bytes=0-99999999",
  "bytes=9-9", "bytes=10-", "bytes=99999999-", "bytes=-0", "bytes=3-2", "bytes=a-b", "bytes=",
  "bytes", "items=0-1", "bytes=0-1,3-4", "bytes=0-1, 4-", "bytes=-1,0-0", "bytes=0-1,99999999-",
  "bytes=0-1,x", "bytes=0-,0-", "bytes=0-5,2-7", "bytes=1-2,,4-5", "bytes= 1-2", "bytes=1 -2",
  "bytes=00-01", "bytes=0-1,2-3,4-5,6-7,8-9", "BYTES=0-1", "bytes=-1,-2,-3",
  "bytes=18446744073709551615-18446744073709551616",
}

---What is different, and why. The first that matches a request names it.
local DIFFERENCES = {
  {
    "a path with a segment . or .., or an encoded slash, is 400 here, and is resolved there",
    function(case) return case.path:find("/%.%.?/") or case.path:lower():find("%%2e%%2e")
      or case.path:lower():find("%%2f") end,
  },
  {
    "a double slash names nothing here, and is one slash there",
    function(case) return case.path:find("//", 1, true) end,
  },
  {
    "names with a dot in front are not there here, and are served there",
    function(case) return case.path:find("/%.[^./]") end,
  },
  {
    "a link that leads out of the folder is not there here, and is followed there",
    function(case) return case.path:find("^/out") end,
  },
  {
    "a folder without an index, and a file that may not be read, are 404 here and 403 there",
    function(case) return case.path == "/bare/" or case.path == "/secret.txt" end,
  },
  {
    "a coded file has ranges here, and none there",
    function(case) return case.path == "/app.js" and case.headers["Accept-Encoding"] end,
  },
  {
    "a tag goes before a date here (RFC 9110, 13.2.2); there both have to agree",
    function(case)
      return case.headers["If-None-Match"] and case.headers["If-Modified-Since"]
        or case.headers["If-Match"] and case.headers["If-Unmodified-Since"]
    end,
  },
  {
    "a date that is none makes If-Unmodified-Since absent here (RFC 9110, 13.1.4); there it is 412",
    function(case) return case.headers["If-Unmodified-Since"] == "nonsense" end,
  },
  {
    "Range is for GET alone here (RFC 9110, 14.2), and for HEAD too there",
    function(case) return case.method == "HEAD" and case.headers.Range end,
  },
  {
    "a range that is a mistake makes Range absent here (RFC 9110, 14.2), and is 416 there",
    function(case) return case.headers.Range and ({
      ["bytes=3-2"] = true, ["bytes=a-b"] = true, ["bytes="] = true, ["bytes=0-1,x"] = true,
      ["bytes=1 -2"] = true, ["bytes=1-2,,4-5"] = true,
    })[case.headers.Range] end,
  },
  {
    "`-0` asks for nothing, which is 416 here (RFC 9110, 14.1.2); there it is the end of the file",
    function(case) return case.headers.Range == "bytes=-0" end,
  },
  {
    "a range of an empty file is 416 here, and 200 there",
    function(case) return case.path == "/empty.txt" and case.headers.Range end,
  },
}

local function difference(case)
  for _, row in ipairs(DIFFERENCES) do
    if row[2](case) then
      return row[1]
    end
  end
end

local HEADERS = {
  "content-type", "content-length", "content-range", "content-encoding", "last-modified",
  "accept-ranges", "vary", "location",
}

---The cases: path by path, then ranges and conditions of some files. `etag` in a header stands for
---the tag that the side has given.
local function cases()
  local list = {}
  local function add(method, path, headers)
    list[#list + 1] = { method = method, path = path, headers = headers or {} }
  end
  for _, path in ipairs(PATHS) do
    add("GET", path)
    add("HEAD", path)
    add("GET", path, { ["Accept-Encoding"] = "gzip" })
  end
  for _, path in ipairs { "/a.txt", "/large.bin", "/empty.txt", "/app.js" } do
    for _, range in ipairs(RANGES) do
      add("GET", path, { Range = range })
    end
    for _, range in ipairs { "bytes=0-4", "bytes=0-1,3-4", "bytes=99999999-" } do
      for _, if_range in ipairs {
        "etag", '"x"', "W/etag", support.MODIFIED_TEXT, support.EARLIER_TEXT, support.LATER_TEXT,
      } do
        add("GET", path, { Range = range, ["If-Range"] = if_range })
      end
      add("HEAD", path, { Range = range })
    end
    for _, method in ipairs { "GET", "HEAD" } do
      for _, value in ipairs { "etag", "W/etag", '"x"', '"x", etag', "*", "" } do
        add(method, path, { ["If-None-Match"] = value })
      end
      for _, value in ipairs { "etag", '"x"', '"x", etag', "*" } do
        add(method, path, { ["If-Match"] = value })
      end
      for _, value in ipairs {
        support.MODIFIED_TEXT, support.EARLIER_TEXT, support.LATER_TEXT, "nonsense",
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
      } do
        add(method, path, { ["If-Modified-Since"] = value })
        add(method, path, { ["If-Unmodified-Since"] = value })
      end
    end
    add("GET", path, { ["If-None-Match"] = "etag", ["If-Modified-Since"] = support.EARLIER_TEXT })
    add("GET", path, { ["If-None-Match"] = '"x"', ["If-Modified-Since"] = support.LATER_TEXT })
    add("GET", path, { ["If-Match"] = "etag", ["If-Unmodified-Since"] = support.EARLIER_TEXT })
    add("GET", path, { ["If-Match"] = '"x"', ["If-None-Match"] = "etag" })
    add("GET", path, { ["If-None-Match"] = "etag", Range = "bytes=0-1" })
  end
  return list
end

---The body, or the parts of a multipart, whose boundaries differ.
local function body_of(response)
  if (response.headers["content-type"] or ""):find("^multipart/byteranges") then
    response.text = function(self) return self.body end
    response.headers["content-length"] = nil
    return support.parts(response)
  end
  return response.body
end

---What one side answers to a case, as far as the sides have to agree.
local function ask(port, case, tags)
  local headers = { Host = "localhost", Connection = "close" }
  for name, value in pairs(case.headers) do
    headers[name] = value:gsub("etag", tags[case.path] or '"none"')
  end
  local client = wire.connect(port)
  client:send(wire.request { method = case.method, target = case.path, headers = headers })
  local response = client:response(case.method)
  client:close()
  local seen = { status = response.status }
  if case.method == "GET" and (response.status == 200 or response.status == 206) then
    seen.body = body_of(response)
  end
  if response.status < 400 or response.status == 416 then
    for _, name in ipairs(HEADERS) do
      seen[name] = response.headers[name]
    end
    if case.path ~= "/app.js" then -- `Vary` is everywhere here; there, where a coded file is
      seen.vary = nil
    end
    if (seen["content-type"] or ""):find("^multipart") then
      seen["content-type"] = "multipart"
    end
    if response.status >= 300 then -- pages of their own
      seen["content-type"], seen["content-length"], seen["accept-ranges"] = nil, nil, nil
    end
    if response.status == 206 then -- it has `Accept-Ranges` here, and not there
      seen["accept-ranges"] = nil
    end
  end
  return seen, response.headers["etag"]
end

local function start_nginx(root)
  local folder = assert(posix.make_folder())
  local port = free_port()
  local path = folder .. "/nginx.conf"
  Process.write_file(path, CONFIG:format(port, root))
  local process = Process.start { "/usr/sbin/nginx", "-e", "stderr", "-p", folder, "-c", path }
  local deadline = clock.deadline(5)
  while true do
    local probe = assert(socket.tcp4())
    local ok = probe:connect("127.0.0.1", port)
    probe:close()
    if ok then
      break
    end
    assert(not process:has_ended() and clock.now() < deadline, process:stderr())
    clock.pause()
  end
  return port, process, folder
end

---A table on one line, its long texts cut.
local function show(value)
  if type(value) ~= "table" then
    return ("%q"):format(tostring(value):sub(1, 60))
  end
  local parts = {}
  for key, item in pairs(value) do
    parts[#parts + 1] = ("%s = %s"):format(key, show(item))
  end
  table.sort(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end

describe("a folder beside nginx", function()
  local root, port, process, folder

  before_each(function()
    root = support.tree {
      ["index.html"] = "<p>home", ["a.txt"] = "0123456789", ["empty.txt"] = "",
      ["large.bin"] = support.bytes(LARGE), ["app.js"] = "plain js", ["app.js.gz"] = "gzip js",
      ["style.css"] = "css", ["sub/index.html"] = "<p>sub", ["sub/page.html"] = "<p>page",
      ["bare/x.png"] = "png", ["a b.txt"] = "space", ["\u{20ac}.txt"] = "euro",
      ["a+b.txt"] = "plus",
      [".hidden"] = "hidden", [".git/config"] = "git", ["sub/.env"] = "env",
    }
    assert(lfs.link("a.txt", root .. "/link.txt", true))
    assert(lfs.link("/etc/hostname", root .. "/out.txt", true))
    assert(lfs.link("/etc", root .. "/out", true))
    assert(lfs.link("nowhere", root .. "/broken", true))
    port, process, folder = start_nginx(root)
  end)

  after_each(function()
    process:kill()
    Process.remove_folder(folder)
    support.remove_all()
  end)

  it("answers 500 requests alike, but for the differences that have a name", function()
    local server = Server.start([[
      require("lunesse").server():static("/", "]] .. root .. [[", { precompressed = true })
    ]])
    local ours, theirs = {}, {}
    local list = cases()
    assert.is_true(#list >= 500, #list)
    local used, wrong = {}, {}
    for _, case in ipairs(list) do
      local mine, my_tag = ask(server.port, case, ours)
      local its, its_tag = ask(port, case, theirs)
      if not next(case.headers) then
        ours[case.path], theirs[case.path] = my_tag, its_tag
      end
      local why = difference(case)
      local is_same = pcall(assert.same, its, mine)
      if not is_same and why then
        used[why] = true
      elseif not is_same then
        wrong[#wrong + 1] = ("%s %s %s\n  here  %s\n  there %s"):format(case.method, case.path,
          show(case.headers), show(mine), show(its))
      end
    end
    assert.equal(0, #wrong, ("%d of %d\n%s"):format(#wrong, #list,
      table.concat(wrong, "\n", 1, math.min(60, #wrong))))
    local unused = {}
    for _, row in ipairs(DIFFERENCES) do
      unused[#unused + 1] = not used[row[1]] and row[1] or nil
    end
    assert.same({}, unused) -- each difference is shown by a request
  end)
end)
