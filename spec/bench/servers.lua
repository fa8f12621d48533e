-- The servers that are measured side by side. Each has a `name`, a `command` of port and folder for
-- `bench.start`, and what it is: `version`; the path of its `events`, if another; whether it
-- `is_deaf` to what is published; what to do before it is measured: `prepare`. They serve, as far
-- as they can: GET /events and POST /publish, a room; GET /first, one event at once; GET /firehose,
-- events without end; GET /hello, a plain answer.
local lfs = require "lfs"
local bench = require "spec.bench.bench"
local Process = require "spec.support.process"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local room = lunesse.channel("bench", { history = 1000 })
local data = ("x"):rep(64)

server:get("/events", function(request, response)
  response.sse:subscribe(room)
end)
server:post("/publish", function(request, response)
  room:publish(request:text())
  response:status(204):send("")
end)
server:get("/first", function(request, response)
  response.sse:send(data)
  lunesse.sleep(3600)
end)
server:get("/firehose", function(request, response)
  local sse = response.sse
  while sse:send(data) do end
end)
server:get("/parked", function(request, response)
  response.sse:open()
  lunesse.sleep(3600)
end)
server:get("/hello", function(request, response)
  response:send("hello\n")
end)
]]

local RELAY = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local api = lunesse.http.client {
  base = "http://127.0.0.1:%d", connections = 20000, idle_timeout = 3600,
}

server:get("/events", function(request, response)
  local up <close> = assert(api:get("/events", { stream = true }))
  response.sse:open()
  for event in up:events() do
    response.sse:send(event)
  end
end)
]]

local NGINX = [[
%s
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 16384; }
http {
  access_log access.log combined;
  default_type text/plain;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:%d backlog=4096;
    %s
  }
}
]]

local NCHAN = [[
    location = /events {
      nchan_subscriber eventsource;
      nchan_channel_id bench;
      nchan_subscriber_first_message newest;
      nchan_message_buffer_length 1000;
    }
    location = /publish {
      nchan_publisher;
      nchan_channel_id bench;
      nchan_message_buffer_length 1000;
    }
    location = /first {
      nchan_subscriber eventsource;
      nchan_channel_id first;
      nchan_subscriber_first_message oldest;
    }
    location = /publish_first {
      nchan_publisher;
      nchan_channel_id first;
    }
]]

-- What a script there writes: each event is printed and flushed. A flush that need not wait does
-- not give way, and `ngx.sleep(0)` after it, which was tried, does neither.
local NGINX_LUA = [[
    lua_check_client_abort on;
    location = /firehose {
      default_type text/event-stream;
      content_by_lua_block {
        local event = "data: " .. ("x"):rep(64) .. "\n\n"
        repeat
          ngx.print(event)
        until not ngx.flush(true)
      }
    }
    location = /parked {
      default_type text/event-stream;
      content_by_lua_block {
        ngx.print(":\n\n")
        ngx.flush(true)
        ngx.sleep(3600)
      }
    }
    location = /hello { content_by_lua_block { ngx.say("hello") } }
]]

local NGINX_RELAY = [[
    location / {
      proxy_pass http://127.0.0.1:%d;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 1h;
    }
]]

local function limit(...)
  local options = { ... }
  return function(port)
    return { bench.compile("limit"), tostring(port), table.unpack(options) }
  end
end

local function lunesse(program)
  return function(port, folder)
    local path = folder .. "/script.lua"
    Process.write_file(path, SCRIPT)
    return { program, "--host", "127.0.0.1", "--port", tostring(port), path }
  end
end

local function nginx(modules, locations)
  local loads = modules:gsub("%S+", "load_module /usr/lib/nginx/modules/%0.so;")
  return function(port, folder)
    Process.write_file(folder .. "/nginx.conf", NGINX:format(loads, port, locations))
    return { "/usr/sbin/nginx", "-e", "stderr", "-p", folder, "-c", folder .. "/nginx.conf" }
  end
end

local function node(script)
  local path = lfs.currentdir() .. "/spec/bench/" .. script
  return function(port)
    return { "node", path, tostring(port) }
  end
end

local function lunesse_relay(port, folder, upstream)
  local path = folder .. "/script.lua"
  Process.write_file(path, RELAY:format(upstream))
  return { bench.program, "--host", "127.0.0.1", "--port", tostring(port), path }
end

local function nginx_relay(port, folder, upstream)
  return nginx("", NGINX_RELAY:format(upstream))(port, folder)
end

local function node_relay(port, _, upstream)
  local words = node("node_relay.mjs")(port)
  words[#words + 1] = tostring(upstream)
  return words
end

-- A relay stands before the server of another, which starts with it and ends with it: its `source`.
-- `command` takes the port of that.
local function relay(name, command, version)
  local definition = { name = name, version = version }
  function definition.command(port, folder)
    definition.source = bench.start(lunesse(bench.program), { on_load_core = true })
    return command(port, folder, definition.source.port)
  end
  function definition.finish()
    bench.stop(definition.source)
  end
  return definition
end

local function nginx_version(package)
  return ("%s, %s"):format(bench.first_line("/usr/sbin/nginx -v"):match("nginx/%S+"),
    bench.first_line("dpkg-query -W " .. package):gsub("%s+", " "))
end

local function post_first(server)
  local url = ("http://127.0.0.1:%d/publish_first"):format(server.port)
  assert(Process.run { "curl", "-sS", "-f", "-d", ("x"):rep(64), url } == 0)
end

return {
  limit = {
    name = "limit", command = limit(), version = "spec/bench/limit.c",
  },
  merged = {
    name = "limit, merged", command = limit("--merge"), version = "limit.c with --merge",
  },
  lunesse = {
    name = "lunesse", command = lunesse(bench.program),
    version = bench.first_line(bench.program .. " --version"),
  },
  before = bench.before and {
    name = "lunesse, before", command = lunesse(bench.before),
  },
  parked = {
    name = "lunesse, parked", command = lunesse(bench.program), events = "/parked", is_deaf = true,
  },
  nchan = {
    name = "nginx, Nchan", command = nginx("ngx_nchan_module", NCHAN), prepare = post_first,
    version = nginx_version("libnginx-mod-nchan"),
  },
  nginx_lua = {
    name = "nginx, Lua", command = nginx("ndk_http_module ngx_http_lua_module", NGINX_LUA),
    events = "/parked", is_deaf = true, version = nginx_version("libnginx-mod-http-lua"),
  },
  node = {
    name = "node:http", command = node("node_server.mjs"),
    version = "Node " .. bench.first_line("node --version"),
  },
  lunesse_relay = relay("lunesse", lunesse_relay),
  nginx_relay = relay("nginx, proxy_pass", nginx_relay),
  node_relay = relay("node:http, undici", node_relay),
  better_sse = {
    name = "better-sse", command = node("better_sse_server.mjs"),
    version = "better-sse " .. (Process.read_file("spec/node_modules/better-sse/package.json")
      :match('"version": "([^"]+)"') or "?"),
  },
}
