-- What stands in front of the program: the packages that are installed for it, the configure that
-- begins anew, and what `make install` puts in place.

local lfs = require "lfs"
local posix = require "spec_posix"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local BUILD = os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug"

---A folder with programs of these names and lines of shell, for the front of PATH.
local function programs(scripts)
  local files = {}
  for name, lines in pairs(scripts) do
    files[name] = "#!/bin/sh\n" .. lines .. "\n"
  end
  local folder = Server.write(files)
  for name in pairs(scripts) do
    assert(Process.run { "chmod", "+x", folder .. "/" .. name } == 0)
  end
  return folder
end

---Runs `deps.sh run` where the packages `installed` are there and the lists know `known`, and
---after an update `fresh` too; `fails` is how often apt-get install fails. Returns what it prints,
---and its exit code.
local function deps(case)
  local folder = programs {
    ["dpkg-query"] = "printf '%s installed\\n' " .. (case.installed or "none"),
    ["apt-cache"] = ([[cat "$0.known" "$0.fresh" 2>/dev/null | grep -qx "$2" &&
      echo "  Candidate: 1.0" || { echo "  Candidate: (none)"; }]]),
    ["apt-get"] = [[
      case $1 in
        update) cp "$0.lists" "${0%%/*}/apt-cache.fresh" ;;
        install) read -r left <"$0.fails"; echo $((left - 1)) >"$0.fails"; [ "$left" -le 0 ] ;;
      esac]],
    ["id"] = "echo 0",
  }
  local function lines(list)
    return table.concat(list or {}, "\n") .. "\n"
  end
  Process.write_file(folder .. "/apt-cache.known", lines(case.known))
  Process.write_file(folder .. "/apt-get.lists", lines(case.fresh))
  Process.write_file(folder .. "/apt-get.fails", (case.fails or 0) .. "\n")
  local path = folder .. ":" .. os.getenv("PATH")
  -- The file by which it knows llhttp's sources is one that is not there.
  local script = Process.read_file("cmake/deps.sh"):gsub("/usr/share/llhttp/", folder .. "/")
  Process.write_file(folder .. "/deps.sh", script)
  local code, out = Process.run({ "sh", folder .. "/deps.sh", "run" }, { env = { PATH = path } })
  return out, code
end

local ALL = "gcc libc6-dev cmake ninja-build pkg-config liblua5.4-dev libuv1-dev" ..
  " libssl-dev libcurl4-openssl-dev libpq-dev zlib1g-dev libbrotli-dev"

describe("cmake/deps.sh", function()
  it("does nothing where all is there", function()
    assert.same({ "", 0 }, { deps { installed = ALL .. " libllhttp-dev" } })
  end)

  it("installs the package of llhttp that the release has", function()
    for release, package in pairs { [12] = "node-llhttp", [13] = "libllhttp-dev" } do
      local known = release == 13 and { "libllhttp-dev", "node-llhttp" } or { "node-llhttp" }
      local out, code = deps { installed = ALL, known = known }
      assert.same({ "deps: installing what is missing: apt-get install " .. package .. "\n", 0 },
        { out, code })
    end
  end)

  it("says what it installs, and fetches the package lists where they do not know it", function()
    local installed = ALL:gsub("ninja%-build", "libllhttp-dev")
    local out, code = deps { installed = installed, fresh = { "ninja-build" } }
    assert.same({ "deps: fetching the package lists: apt-get update\n" ..
      "deps: installing what is missing: apt-get install ninja-build\n", 0 }, { out, code })
  end)

  it("fetches newer lists and tries again when installing fails, and then gives up", function()
    local case = {
      installed = ALL:gsub("ninja%-build", "libllhttp-dev"), known = { "ninja-build" }, fails = 1,
    }
    local line = "deps: installing what is missing: apt-get install ninja-build\n"
    local expected = line .. "deps: fetching the package lists: apt-get update\n" .. line
    assert.same({ expected, 0 }, { deps(case) })
    case.fails = 2
    assert.same({ expected, 1 }, { deps(case) })
  end)
end)

describe("the program", function()
  it("needs the libraries at run time that the docs say, and no others", function()
    local code, out = Process.run { "readelf", "-d", BUILD .. "/lunesse" }
    assert.equal(0, code)
    local packages = {
      lua5 = "liblua5.4-0", uv = "libuv1", llhttp = "libllhttp",
      z = "zlib1g", brotlienc = "libbrotli1",
    }
    local of_the_system = { c = true, m = true, pthread = true, gcc_s = true }
    local of_other_builds = {
      asan = true, ubsan = true, tsan = true, gcov = true, stdc = true, dl = true, rt = true,
      resolv = true,
    }
    local page = Process.read_file("docs/operations.md")
    local count = 0
    for name in out:gmatch("%(NEEDED%)[^\n]*%[lib([%w_]+)") do
      count = count + 1
      if not (of_the_system[name] or of_other_builds[name]) then
        assert.truthy(packages[name] and page:find("`" .. packages[name], 1, true), name)
      end
    end
    assert.is_true(count >= 6)
  end)
end)

describe("a library that is loaded late", function()
  it("is named in the docs, and installed with the others", function()
    local page = Process.read_file("docs/operations.md")
    local deps_text = Process.read_file("cmake/deps.sh")
    local count = 0
    for file in io.popen("grep -rl 'LATE_LIBRARY(\"' src"):lines() do
      local text = Process.read_file(file)
      for name, package in text:gmatch('LATE_LIBRARY%("lib(%a+)%.so[^"]*",%s*"([^"]+)"') do
        count = count + 1
        assert.truthy(page:find("`" .. package .. "`", 1, true), package)
        local wanted = { crypto = "ssl" }
        assert.truthy(deps_text:find(" lib" .. (wanted[name] or name) .. "%d*%-"), name)
      end
    end
    assert.is_true(count >= 2)
  end)
end)

describe("the load generator", function()
  ---The functions and variables that a program has, or that a library has for others, as a set. A
  ---program shows no names: they are hidden, and local once it is linked.
  local function names(file)
    local which = file:find("%.a$") and "--extern-only" or "--no-sort"
    local code, out, err = Process.run { "nm", "--defined-only", which, file }
    assert.equal(0, code, err)
    local set, count = {}, 0
    for name in out:gmatch("%x+ %a ([%w_]+)\n") do
      set[name], count = true, count + 1
    end
    return set, count
  end

  it("is no part of the server", function()
    local bench, count = names(BUILD .. "/libbench_core.a")
    assert.is_true(count > 50, "what is its own cannot be told: " .. count)
    local server, own = names(BUILD .. "/lunesse"), names(BUILD .. "/lunesse-bench")
    assert.is_true(own.bench_run)
    for name in pairs(bench) do
      assert.falsy(server[name], name)
    end
  end)

  it("needs nothing of what scripts need", function()
    local code, out = Process.run { "ldd", BUILD .. "/lunesse-bench" }
    assert.equal(0, code)
    assert.truthy(out:find("libuv", 1, true), out)
    assert.falsy(out:find("lua", 1, true) or out:find("llhttp", 1, true), out)
  end)
end)

describe("make", function()
  local function make(args, env)
    local words = { "make", "--no-print-directory" }
    table.move(args, 1, #args, 3, words)
    env = env or {}
    env.MAKEFLAGS, env.MAKELEVEL = "", ""
    return Process.run(words, { env = env, seconds = 60 })
  end

  it("configures anew after a configure that failed, and not after one that did not", function()
    local folder = programs {
      cmake = [[
        echo "$*" >>"$0.log"
        case $1 in --build) exit 0 ;; esac
        mkdir -p "$BUILT" && touch "$BUILT/CMakeCache.txt"
        [ -e "$0.failed" ] || { touch "$0.failed"; exit 1; }
        touch "$BUILT/build.ninja"]],
    }
    local built = folder .. "/built"
    local env = { PATH = folder .. ":" .. os.getenv("PATH"), BUILT = built }
    local codes = {}
    for i = 1, 3 do
      codes[i] = make({ "build", "BUILD=" .. built }, env)
    end
    assert.same({ 2, 0, 0 }, codes)
    local configure = "--fresh -G Ninja -B " .. built .. " -DCMAKE_BUILD_TYPE=Release\n"
    local targets = " --target lunesse lunesse-bench lunesse-test lunesse_test\n"
    local build = "--build " .. built .. targets
    assert.equal(configure .. configure .. build .. build,
      Process.read_file(folder .. "/cmake.log"))
  end)

  it("run serves on another port where it is given one", function()
    local _, usual = make { "-n", "run" }
    local _, other = make { "-n", "run", "PORT=8080", "SCRIPTS=mine" }
    assert.truthy(usual:find("build/lunesse  scripts\n", 1, true), usual)
    assert.truthy(other:find("build/lunesse --port 8080 mine\n", 1, true), other)
  end)

  describe("install", function()
    local staged, root

    setup(function()
      staged = assert(posix.make_folder())
      root = staged .. "/opt/lunesse"
      local code, out, err = make {
        "install", "BUILD=" .. BUILD, "DESTDIR=" .. staged, "PREFIX=/opt/lunesse",
      }
      assert.equal(0, code, out .. err)
    end)

    teardown(function()
      Process.remove_folder(staged)
    end)

    it("puts the program, stubs, scripts, pages, units and docs below PREFIX", function()
      for _, file in ipairs {
        "bin/lunesse", "bin/lunesse-bench", "bin/lunesse-test", "lib/lunesse/lunesse/test.so",
        "share/lunesse/types/lunesse.lua", "share/lunesse/scripts/chat.lua",
        "share/lunesse/scripts/chat.html", "share/lunesse/scripts/index.html",
        "share/doc/lunesse/README.md", "share/doc/lunesse/docs/page.png",
        "share/doc/lunesse/docs/guide.md", "share/doc/lunesse/docs/api/channel.md",
        "share/doc/lunesse/LICENSE", "share/man/man1/lunesse.1",
        "lib/systemd/system/lunesse.service", "lib/systemd/system/lunesse.socket",
      } do
        assert.equal("file", lfs.attributes(root .. "/" .. file, "mode"), file)
      end
    end)

    it("leaves a program that serves the installed scripts", function()
      local code, out, err = Process.run {
        root .. "/bin/lunesse", "--check", root .. "/share/lunesse/scripts",
      }
      assert.equal(0, code, err)
      assert.truthy(out:find("/clock", 1, true) and out:find("/chat", 1, true), out)
    end)

    it("leaves a test kit where the installed program finds it", function()
      local code, out, err = Process.run { root .. "/bin/lunesse", "--test-path" }
      assert.equal(0, code, err)
      assert.equal(root .. "/lib/lunesse/?.so\n", out)
    end)

    it("leaves a load generator where the installed program finds it", function()
      local code, out, err = Process.run { root .. "/bin/lunesse", "bench", "--help" }
      assert.same({ 0, "" }, { code, err })
      assert.matches("^usage: lunesse bench fanout URL", out)
    end)

    it("writes units that start the program where it is", function()
      local text = Process.read_file(root .. "/lib/systemd/system/lunesse.service")
      assert.equal("/opt/lunesse/bin/lunesse", text:match("\nExecStart=(%S+)"))
      assert.falsy(text:find("/usr/local", 1, true))
      local scripts = text:match("\nExecStart=[^\n]* (/%S+)\n")
      local page = Process.read_file("docs/operations.md")
      assert.truthy(page:find("\nmkdir -p " .. scripts .. "\n", 1, true), scripts)
      local from = Process.read_file("dist/lunesse.service"):gsub("/usr/local/", "/opt/lunesse/")
      assert.equal(from, text)
    end)

    it("writes a manual page that has every option", function()
      local page = Process.read_file(root .. "/share/man/man1/lunesse.1")
      local _, help = Server.run { "--help" }
      local plain = page:gsub("\\&", ""):gsub("\\%-", "-"):gsub("\\e", "\\")
      assert.truthy(plain:find(help, 1, true), plain)
      if Process.run { "groff", "--version" } == 0 then
        local code, out, err = Process.run {
          "groff", "-man", "-ww", "-Tascii", root .. "/share/man/man1/lunesse.1",
        }
        assert.same({ 0, "" }, { code, err })
        assert.truthy(out:find("--ready-path PATH", 1, true), out)
      end
    end)
  end)
end)
