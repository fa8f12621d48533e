-- Debian's nginx, HAProxy and Apache in front of a server: each a process and a folder of its own,
-- with the configuration that docs/proxies.md shows, on a free port.

local posix = require "spec_posix"
local socket = require "socket"
local free_port = require "spec.support.free_port"
local clock = require "spec.support.clock"
local Pages = require "spec.support.pages"
local Process = require "spec.support.process"

local READY_SECONDS = 5

local Proxy = {}
Proxy.__index = Proxy

-- The language of the block that configures a proxy, and what stands in no other.
local BLOCKS = {
  nginx = { "nginx", "proxy_http_version" },
  several = { "nginx", "upstream lunesse" },
  logins = { "nginx", "auth_request" },
  TLS = { "nginx", "ssl_certificate" },
  HAProxy = { "haproxy", "listen lunesse" },
  ["HAProxy TLS"] = { "haproxy", "ssl crt" },
  Apache = { "apache", "ProxyPreserveHost" },
  ["Apache TLS"] = { "apache", "SSLEngine" },
}

-- How a proxy names a Unix socket, and what stands in its block where that goes.
local UNIX = {
  nginx = { "http://unix:/run/lunesse.sock", "http://127.0.0.1:3000" },
  HAProxy = { "unix@/run/lunesse.sock", "127.0.0.1:3000" },
  Apache = { "unix:/run/lunesse.sock|http://localhost/", "http://127.0.0.1:3000/" },
}

---The block of docs/proxies.md that configures `name`, with the server's port in it, or its path.
local function documented(name, port)
  local text = Pages.block("docs/proxies.md", table.unpack(BLOCKS[name])).text
  if type(port) == "string" then
    local address, usual = table.unpack(UNIX[name])
    assert(Process.read_file("docs/proxies.md"):find(address, 1, true), address)
    return (text:gsub(usual:gsub("%p", "%%%0"), (address:gsub("/run/lunesse.sock", port))))
  end
  return (text:gsub("127%.0%.0%.1:3000", "127.0.0.1:" .. port))
end

local NGINX = [[
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
  %s
}
]]

local APACHE = [[
ServerRoot %s
PidFile apache.pid
Mutex posixsem
ErrorLog error.log
Listen 127.0.0.1:%d
ServerName localhost
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
User nobody
Group nogroup
%s
]]

local APACHE_TLS = [[
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
Listen 127.0.0.1:%d
]]

local function nginx(folder, server)
  local path = folder .. "/nginx.conf"
  Process.write_file(path, NGINX:format(server))
  return { "/usr/sbin/nginx", "-e", "stderr", "-p", folder, "-c", path }
end

---Makes a certificate that nobody has signed. Returns the paths of it and of its key.
local function certificate(folder)
  local chain, key = folder .. "/chain.pem", folder .. "/key.pem"
  local code, _, complaint = Process.run {
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
    "-subj", "/CN=example.com", "-days", "1", "-out", chain, "-keyout", key,
  }
  assert(code == 0, complaint)
  return chain, key
end

local function haproxy(folder, config)
  local path = folder .. "/haproxy.cfg"
  Process.write_file(path, config .. "\n")
  return { "/usr/sbin/haproxy", "-db", "-f", path }
end

local function apache(folder, port, config)
  local path = folder .. "/apache.conf"
  Process.write_file(path, APACHE:format(folder, port, config))
  return { "/usr/sbin/apache2", "-f", path, "-X" }
end

---What writes the configuration into `folder` and returns the words that start the proxy. `other`
---is the port of a second server, if there is one.
local kinds = {
  nginx = function(folder, port, config)
    return nginx(folder, ("server { listen 127.0.0.1:%d; %s }"):format(port, config))
  end,
  several = function(folder, port, config, server_port, other)
    local location = documented("nginx", server_port)
      :gsub("http://127.0.0.1:%d+", "http://lunesse")
    local upstream = config:gsub("10%.0%.0%.1:3000", "127.0.0.1:" .. server_port)
      :gsub("10%.0%.0%.2:3000", "127.0.0.1:" .. other)
    return nginx(folder, ("%s server { listen 127.0.0.1:%d; %s }")
      :format(upstream, port, location))
  end,
  logins = function(folder, port, config, server_port, other)
    local location = documented("nginx", server_port):match("{\n(.*)}")
    local locations = config:gsub("# and the lines of the location above", location)
      :gsub("127.0.0.1:4180", "127.0.0.1:" .. other)
    return nginx(folder, ("server { listen 127.0.0.1:%d; %s }"):format(port, locations))
  end,
  TLS = function(folder, port, config, server_port)
    local chain, key = certificate(folder)
    local server = config:gsub("listen 443", "listen 127.0.0.1:" .. port)
      :gsub("listen 80", ("listen unix:%s/plain"):format(folder))
      :gsub("# the location of the section above", documented("nginx", server_port))
      :gsub("/etc/%S+/fullchain.pem", chain):gsub("/etc/%S+/privkey.pem", key)
    return nginx(folder, server)
  end,
  HAProxy = function(folder, port, config)
    return haproxy(folder, (config:gsub("bind :8080", "bind 127.0.0.1:" .. port)))
  end,
  ["HAProxy TLS"] = function(folder, port, config, server_port, other)
    local chain, key = certificate(folder)
    local both = Process.read_file(chain) .. Process.read_file(key)
    Process.write_file(folder .. "/both.pem", both)
    local lines = config:gsub("bind :443", "bind 127.0.0.1:" .. port)
      :gsub("bind :80", ("bind unix@%s/plain"):format(folder))
      :gsub("/etc/%S+%.pem", folder .. "/both.pem"):gsub("127.0.0.1:8888", "127.0.0.1:" .. other)
    return haproxy(folder, (documented("HAProxy", server_port):gsub(" *bind :8080\n", lines)))
  end,
  Apache = function(folder, port, config)
    return apache(folder, port, ("<VirtualHost *:*>\n%s\n</VirtualHost>"):format(config))
  end,
  ["Apache TLS"] = function(folder, port, config, server_port)
    local chain, key = certificate(folder)
    local plain = free_port()
    Process.write_file(folder .. "/plain", tostring(plain))
    local hosts = config:gsub("%*:443", "*:" .. port):gsub("%*:80", "*:" .. plain)
      :gsub("# the lines of Apache[^\n]*", (documented("Apache", server_port):gsub("%%", "%%%%")))
      :gsub("/etc/%S+/fullchain.pem", chain):gsub("/etc/%S+/privkey.pem", key)
    return apache(folder, port, APACHE_TLS:format(plain) .. hosts)
  end,
}

Proxy.names = { "nginx", "HAProxy", "Apache" }

---Starts the proxy `name`, one of BLOCKS, in front of `server` and waits until it takes
---connections. `change` is appended to its configuration, or is a function that returns another
---one. `other` is a second server. The server's port may be the path of a Unix socket.
---@param name string
---@param change? string | fun(config: string): string
function Proxy.start(name, server, change, other)
  local self = setmetatable({ port = free_port(), folder = assert(posix.make_folder()) }, Proxy)
  local config = documented(name, server.port)
  if type(change) == "function" then
    config = change(config)
  else
    config = config .. (change or "")
  end
  local words = kinds[name](self.folder, self.port, config, server.port, other and other.port)
  self.process = Process.start(words, { cwd = self.folder })
  self.process.is_shared = true
  self.url = "http://127.0.0.1:" .. self.port
  local ok, message = pcall(clock.eventually, function()
    assert(not self.process:has_ended(), self.process:stderr())
    local client = socket.connect("127.0.0.1", self.port)
    return client and client:close()
  end, READY_SECONDS)
  if not ok then
    self:stop()
    error(message, 0)
  end
  return self
end

function Proxy:stop()
  self.process:kill()
  self.process:forget()
  Process.remove_folder(self.folder)
end

return Proxy
