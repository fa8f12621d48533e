---@meta

---`require "lunesse.compat.socket"`: LuaSocket's connections and LuaSec's `wrap`, for which only
---the calling task waits. docs/libraries.md has an example. Debian's lua-socket, and for `wrap`
---lua-sec, have to be installed. `newtry`, `protect`, `try`, `skip`, `choose`, `sink`, `sinkt`,
---`source` and `sourcet` are there as LuaSocket has them.
---@class lunesse.socket
local socket = {}

---A connection over TCP that is not connected yet.
---
---```lua
---local socket = require "lunesse.compat.socket"
---local peer <close> = socket.tcp()
---peer:settimeout(5)
---local ok, why = peer:connect("localhost", 6379)
---```
---@return lunesse.Connection? connection
---@return string? err  no descriptor is left
function socket.tcp() end

---The same, over IPv4 alone.
---@return lunesse.Connection? connection
---@return string? err
function socket.tcp4() end

---The same, over IPv6 alone.
---@return lunesse.Connection? connection
---@return string? err
function socket.tcp6() end

---A connection over a Unix socket, whose `connect` takes a path. `unix` is also a table with this
---function as `stream`, as `require "socket.unix"` is.
---@return lunesse.Connection? connection
---@return string? err
function socket.unix() end

---A connection that is connected.
---@param host string
---@param port integer
---@return lunesse.Connection? connection
---@return string? err  see `Connection:connect`
function socket.connect(host, port) end

---Has a connection speak TLS, by LuaSec; `dohandshake` comes next. Only the result is used from
---then on.
---@param connection lunesse.Connection
---@param parameters table  as LuaSec takes them
---@return lunesse.Connection? connection
---@return string? err
function socket.wrap(connection, parameters) end

---`lunesse.sleep`.
---@param seconds number
function socket.sleep(seconds) end

---`lunesse.now`.
---@return number seconds
function socket.gettime() end

---A connection. What is not here is LuaSocket's or LuaSec's own and does not wait, such as
---`setoption` and `getpeername`. It is read by one task at a time, and written by one. A call that
---does not return, because its task is cancelled while it waits, closes it.
---@class lunesse.Connection
local Connection = {}

---Connects to a host, or to the path of a Unix socket. The addresses of a name are tried in turn.
---@param host string  a name, an address or a path
---@param port? integer
---@return 1 | nil ok
---@return string? err  such as "connection refused" or "timeout"
function Connection:connect(host, port) end

---Receives a line without its end ("*l", the default), so many bytes, or all until the end ("*a").
---@param pattern? "*l" | "*a" | integer
---@param prefix? string  what the result begins with; it is a part of the number of bytes
---@return string? text
---@return string? err  "closed", "timeout", or with TLS "wantread"
---@return string? part  what came until then
function Connection:receive(pattern, prefix) end

---Sends a text, or the part from byte `first` to byte `last`.
---@param text string
---@param first? integer  default 1
---@param last? integer  default -1
---@return integer? index  of the last byte sent
---@return string? err  "closed", "timeout", or with TLS "wantwrite"
---@return integer? index  of the last byte sent until then
function Connection:send(text, first, last) end

---Agrees on TLS, after `wrap`.
---@return boolean ok
---@return string? err
function Connection:dohandshake() end

---How long a call may take, by the server's clock; nil, the default, for as long as it takes, and 0
---for calls that do not wait. LuaSocket's modes mean the same here; if both are set, the shorter
---counts.
---@param seconds? number
---@param mode? "b" | "t"
---@return 1
function Connection:settimeout(seconds, mode) end

---The descriptor, for `lunesse.wait`.
---@return integer fd  -1 for none
function Connection:getfd() end

---Closes it. A task that waits for it gets "closed". It may be closed twice.
---@return 1
function Connection:close() end

return socket
