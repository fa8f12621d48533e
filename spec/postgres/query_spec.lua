-- `db:query`: what goes to the server, and what comes back.

local Postgres = require "spec.support.postgres"
local Server = require "spec.support.server"
local apps = require "spec.support.app"
local support = require "spec.postgres.support"

describe("a query", function()
  local database

  setup(function() database = Postgres.start() end)
  teardown(function() database:stop() end)

  local function run(text, options)
    return (support.run(database.url, text, options))
  end

  it("returns rows by the names of their columns, how many there are, and the command", function()
    assert.equal('[{"a":1,"b":"x"},{"a":2,"b":"y"}] 2 SELECT 2', run [[
      local rows, count, tag = db:query("select a, b from (values (1, 'x'), (2, 'y')) t (a, b)")
      return lunesse.json.encode(rows), count, tag]])
    assert.equal("[] 0 SELECT 0", run [[
      local rows, count, tag = db:query("select 1 where false")
      return lunesse.json.encode(rows), count, tag]])
    assert.equal("0 3 INSERT 0 3|0 0 DROP TABLE", run [[
      db:query("create table counted (a int)")
      local rows, count, tag = db:query("insert into counted values (1), (2), (3)")
      local none, zero, dropped = db:query("drop table counted")
      return #rows, count, tag .. "|" .. #none, zero, dropped]])
  end)

  it("has numbers, booleans, texts and bytes as Lua has them, and NULL as nil", function()
    assert.equal("integer -1|integer 70000|integer -9223372036854775808|float 0.5|float 3.0|" ..
      "float inf|boolean true|boolean false|string 1.10|string ü'\"|string a\0\xff\\|nil nil|" ..
      'string {"a": 1}', run [[
      local row = db:query([=[select -1::int2 as c1, 70000::int4 as c2,
        (-9223372036854775808)::int8 as c3, 0.5::float4 as c4, 3::float8 as c5,
        'Infinity'::float8 as c6, true as c7, false as c8, 1.10::numeric as c9, 'ü''"' as c10,
        '\x6100ff5c'::bytea as c11, null::int as c12, '{"a": 1}'::jsonb as c13]=])[1]
      local list = {}
      for i = 1, 13 do
        local value = row["c" .. i]
        list[i] = (math.type(value) or type(value)) .. " " .. tostring(value)
      end
      return table.concat(list, "|")]])
    assert.equal("ab\0", run [[
      db:query("alter role postgres set bytea_output = 'escape'")
      local other = lunesse.postgres { url = URL }
      local bytes = other:query("select '\\x616200'::bytea as b")[1].b
      db:query("alter role postgres reset bytea_output")
      return bytes]])
  end)

  it("has arrays as tables, with json.null for NULL in them", function()
    assert.equal('{"a":[1,-2,null],"b":[],"c":["a","","NULL","x,y","q\\"\\\\","{}"],' ..
      '"d":[[1,2],[3,4]],"e":[true,false],"f":[0.5,3],"g":["1.10"],"h":[5,6]}', run [[
      local row = db:query([=[select '{1,-2,NULL}'::int[] as a, '{}'::text[] as b,
        array['a', '', 'NULL', 'x,y', 'q"\', '{}'] as c, '{{1,2},{3,4}}'::int8[] as d,
        '{t,f}'::bool[] as e, '{0.5,3}'::float8[] as f, '{1.10}'::numeric[] as g,
        '[0:1]={5,6}'::int[] as h]=])[1]
      return lunesse.json.encode(row)]])
    assert.equal("a\0 \xff nan inf", run [[
      local row = db:query([=[select array['\x6100'::bytea, '\xff'] as a,
        '{NaN,Infinity}'::float4[] as b]=])[1]
      return row.a[1], row.a[2], (tostring(row.b[1]):gsub("-", "")), row.b[2] ]])
  end)

  it("takes parameters of each kind, and gives back what it took", function()
    assert.equal("7 0.1 true x'; -- nil a\0\\x b", run [[
      local row = db:query("select $1::int8 as a, $2::float8 as b, $3::bool as c, $4 as d," ..
        " $5::text as e, $6::bytea as f, $7 as g", 7, 0.1, true, "x'; --", nil,
        db:bytea("a\0\\x"), "b")[1]
      return row.a, row.b, row.c, row.d, row.e, row.f, row.g]])
    assert.equal("0.30000000000000004 inf 3", run [[
      local row = db:query("select $1::float8 = $2::float8 as a, $3::float8 as b, $4::numeric as c",
        0.1 + 0.2, "0.30000000000000004", math.huge, 3)[1]
      return row.a and "0.30000000000000004", row.b, row.c]])
    assert.equal('{"a":[1,null,3],"b":["x\\"\\\\,","","NULL"],"c":[[true],[false]],' ..
      '"d":"{\\"k\\": [1]}","e":[]} \xff\0', run [[
      local row = db:query("select $1::int[] as a, $2::text[] as b, $3::bool[] as c," ..
        " $4::jsonb as d, $5::int[] as e, $6::bytea[] as f",
        { 1, null, 3 }, { 'x"\\,', "", "NULL" }, { { true }, { false } }, { k = { 1 } }, {},
        { db:bytea("\xff\0") })[1]
      local bytes = row.f[1]
      row.f = nil
      return lunesse.json.encode(row), bytes]])
  end)

  it("says what the server says of a failure, with its SQLSTATE, and the pool goes on", function()
    assert.equal('nil relation "nothing" does not exist at character 15 of the query 42P01|' ..
      'nil division by zero 22012|1', run [[
      return told(db:query("select * from nothing")) .. "|" .. told(db:query("select 1 / 0")) ..
        "|" .. db:query("select 1 as a")[1].a]])
    assert.equal("nil duplicate key value violates unique constraint \"once_pkey\" " ..
      "(Key (a)=(1) already exists.) 23505", run [[
      db:query("create table once (a int primary key)")
      db:query("insert into once values (1)")
      local why = told(db:query("insert into once values (1)"))
      db:query("drop table once")
      return why]])
    assert.equal("nil COPY has no rows: it is not possible in a query 0A000|1", run [[
      return told(db:query("copy (select 1) to stdout")) .. "|" .. db:query("select 1 as a")[1].a]])
  end)

  it("refuses what is no query or no parameter, at the script's line", function()
    for text, why in pairs {
      ["db.query('select 1')"] = "query is called with a colon: db:query(...)",
      ["db:query(1)"] = "a query is a string without NUL, got number",
      ["db:query('a\\0b')"] = "a query is a string without NUL, got string",
      ["db:query('select $1', print)"] =
        "parameter 1: a string, number, boolean, table, bytea or nil expected, got function",
      ["db:query('select $1, $2', 1, 'a\\0b')"] =
        "parameter 2: a text of PostgreSQL has no NUL; give bytes as db:bytea(bytes)",
      ["db:query('select $1', { 1, nil, 3, [9] = 9 })"] =
        "parameter 1: an array has holes; lunesse.json.null stands for NULL in it",
      ["db:bytea(1)"] = "bytea takes a string, got number",
      ["lunesse.postgres 'x'"] = "lunesse.postgres takes a table of options, got string",
      ["lunesse.postgres { size = 8 }"] = "lunesse.postgres: unknown option 'size'",
      ["lunesse.postgres { connections = 0 }"] =
        "lunesse.postgres: connections is a whole number, 1 or more",
      ["lunesse.postgres { url = 'postgres://h?moon=1' }"] =
        'lunesse.postgres: url: invalid URI query parameter: "moon"',
      ["lunesse.postgres { url = 'service=x' }"] =
        "lunesse.postgres: url: a service file is not read: say host, port and dbname instead",
      ["table.sort({ 1, 2 }, function() db:query('select 1') end)"] =
        "query can only wait inside a handler, timer, task or callback",
    } do
      local said = run("return select(2, pcall(function() " .. text .. " end))")
      assert.equal(why, (said:gsub("^[^:]*script.lua:%d+: ", ""):gsub("; not inside.*", "")))
      assert.matches("script.lua:%d+: ", said)
    end
  end)

  it("goes over a Unix socket as over TCP, and by a name that the loop looks up", function()
    for _, url in ipairs { database.socket_url,
      ("postgres://postgres@localhost:%d/postgres"):format(database.port),
      ("postgres://postgres@127.0.0.1:1,localhost:%d/postgres"):format(database.port),
      ("host=localhost port=%d user=postgres dbname=postgres"):format(database.port) } do
      assert.equal("postgres lunesse UTF8", (support.run(url, [[
        local row = db:query("select current_user u, current_setting('application_name') a," ..
          " current_setting('client_encoding') as e")[1]
        return row.u, row.a, row.e]])))
    end
  end)

  it("has from the environment what its URL does not say", function()
    local server = Server.start([[
      local lunesse = require "lunesse"
      local db = lunesse.postgres()
      lunesse.server():get("/", function(_, response)
        response:json(db:query("select current_user as u, current_setting('timezone') as z"))
      end)
    ]], { env = { PGHOST = "localhost", PGPORT = tostring(database.port), PGUSER = "postgres",
      PGDATABASE = "postgres", PGTZ = "Asia/Tokyo" } })
    assert.equal('[{"u":"postgres","z":"Asia/Tokyo"}]', server:request { target = "/" }.body)
  end)

  it("may be asked while the scripts load", function()
    local server = Server.start(([[
      local lunesse = require "lunesse"
      local row = lunesse.postgres { url = %q }:query("select 5 as a")[1]
      lunesse.server():get("/", function(_, response) response:json(row) end)
    ]]):format(database.url))
    assert.equal('{"a":5}', server:request { target = "/" }.body)
  end)

  it("sends and gets what is larger than the sockets take at once", function()
    assert.equal("16777216 true", run [[
      local text = ("moonshine"):rep(1864136):sub(1, 1 << 24)
      local row = db:query("select $1::text as a", text)[1]
      return #row.a, row.a == text]])
  end)
end)

it("a database is not reached from the test kit", function()
  if apps.is_watched() then
    return -- there the same script is a process, which connects
  end
  local app = apps.start [[
    local db = lunesse.postgres { url = "postgres://127.0.0.1/" }
    server:get("/", function(_, response)
      local _, why, code = db:query("select 1")
      response:send(why .. " " .. code)
    end)
  ]]
  assert.equal("a spec reaches no database: give the script a stand-in ENOTSUP",
    apps.get(app, "/"))
end)
