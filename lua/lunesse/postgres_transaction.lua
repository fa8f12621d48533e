-- A transaction of `lunesse.postgres`, as its function has it: queries that go over one connection.
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local value = require "lunesse.postgres_value"

local Transaction = {}
Transaction.__index = Transaction
Transaction.__name = "lunesse.Transaction"

function Transaction:query(sql, ...)
  if type(self) ~= "table" or getmetatable(self) ~= Transaction then
    error("query is called with a colon: tx:query(...)", caller.level())
  end
  value.check_sql(sql)
  local formats, parameters = value.parameters(...)
  core.check_wait("query")
  if not self._link then
    return nil, "the transaction has ended", "ECLOSED"
  end
  return value.ask(self._link, sql, formats, parameters)
end

return Transaction
