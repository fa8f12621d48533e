---@meta

---Connections to a PostgreSQL database, made by `lunesse.postgres`. A query waits as
---`lunesse.sleep` does: other requests are served meanwhile, and it ends with the task that waits
---for it; then the server is asked to cancel it. docs/postgres.md has the codes, and more.
---@class lunesse.Database
local Database = {}

---What `lunesse.postgres` takes.
---@class (exact) lunesse.DatabaseOptions
---Where the database is: "postgres://user:password@host:port/database", or "host=... dbname=...".
---The environment (PGHOST, PGPASSWORD and so on) has what it does not say.
---@field url? string
---Connections at most, in each worker. They are opened when they are needed. Default 8.
---@field connections? integer
---Queries that may wait for a connection; one more fails with "EAGAIN". Default 1000.
---@field queue? integer
---Seconds until a new connection stands. Default 10.
---@field connect_timeout? number

---What a query takes as a parameter. A list is an array, with `lunesse.json.null` for NULL in it;
---any other table is JSON, and nil is NULL.
---@alias lunesse.DatabaseParameter
---| string | number | boolean | table | lunesse.DatabaseBytes | nil

---A string that is marked as bytes.
---@class lunesse.DatabaseBytes

---Runs one statement. `$1` in it stands for the first parameter, whose type the server infers.
---
---```lua
---local rows, why, code = db:query("select text from notes where id = $1", id)
---if not rows then
---  return response:status(502):send(why .. "\n")
---end
---response:json(rows)
---```
---@param sql string
---@param ... lunesse.DatabaseParameter
---@return table<string, any>[] | nil rows  tables by the names of the columns; NULL is nil
---@return integer | string count  of rows: returned, or changed; or why there are none
---@return string tag  the command, such as "UPDATE 3"; or the code
function Database:query(sql, ...) end

---Runs `fn` in a transaction, whose queries are those of the argument that it gets. It is committed
---when `fn` returns, and rolled back when `fn` raises, when its task is cancelled, and when `fn`
---returns nil and a message.
---
---```lua
---local ok, why = db:transaction(function(tx)
---  local rows, message, code = tx:query("update notes set room = 1 where id = $1", 7)
---  return rows, message, code
---end)
---```
---@param fn fun(tx: lunesse.Transaction): ...
---@return any ...  what `fn` returns, and true for nothing; or nil, a message and a code
function Database:transaction(fn) end

---What the function of `db:transaction` gets. It is of no use once that has returned.
---@class lunesse.Transaction
local Transaction = {}

---As `db:query`, inside the transaction: one query at a time.
---
---```lua
---db:transaction(function(tx)
---  tx:query("select pg_advisory_xact_lock(7)")
---end)
---```
---@param sql string
---@param ... lunesse.DatabaseParameter
---@return table<string, any>[] | nil rows
---@return integer | string count
---@return string tag
function Transaction:query(sql, ...) end

---Makes events of `channel` of what is notified on the channel `name` of PostgreSQL, in the order
---of the notifications. It has a connection of its own, in the first worker, and is called while
---the scripts load. Whenever that connection is made, also the first time and after a reload, the
---channel begins another life (`channel:reset`): its readers are told `reset`, since they may have
---missed something. So they are too when `map` raises, or the channel refuses the event.
---
---```lua
---db:listen("notes", news, function(payload)
---  return "note", lunesse.json.decode(payload)
---end)
---```
---@param name string  as `pg_notify` has it, at most 63 bytes
---@param channel lunesse.Channel
---@param map? fun(payload: string): ...  what `channel:publish` is to take; nil for no event
---@return lunesse.DatabaseListener
function Database:listen(name, channel, map) end

---What `db:listen` returns.
---@class lunesse.DatabaseListener
local DatabaseListener = {}

---Ends the listening, and its connection. May be called again.
---
---```lua
---local listener = db:listen("notes", news)
---lunesse.after(60, function()
---  listener:close()
---end)
---```
---@return true ok
function DatabaseListener:close() end

---Marks a string as bytes, for a parameter of the type `bytea`. In rows bytes are strings.
---
---```lua
---db:query("insert into files (name, content) values ($1, $2)", name, db:bytea(content))
---```
---@param bytes string
---@return lunesse.DatabaseBytes
function Database:bytea(bytes) end
