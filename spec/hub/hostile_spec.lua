-- What peers may send as the id of the last event that they saw. It decides what is sent to them,
-- so whatever it is, exactly one thing comes of it: a right resume, or one reset.

local hub = require "spec.hub.support"
local wire = require "spec.support.wire"
local sse = require "spec.support.sse"

local run, further, numbers = hub.run, hub.further, hub.numbers

local HISTORY = 20

-- What a mutation puts in.
local PIECES = {
  "0", "1", "9", "f", "g", "-", ",", "--", ",,", " ", ".", "+", "0x", "e9", "\t", "%", "'", '"',
  "\\0", "%00", "\xff", "\xc0\x80", "月", "\u{feff}",
  "18446744073709551615", "18446744073709551616",
  "ffffffffffffffff", "10000000000000000", "99999999999999999999999999", "-1", "nil", "earliest",
  ("a"):rep(100), ("1-1,"):rep(30), (","):rep(50), "reset", ";", "(", "\x7f", "\x80",
}

---A changed copy of the text.
local function mutated(text)
  local at = math.random(#text + 1)
  local kind = math.random(5)
  if kind == 1 then -- something in between
    return text:sub(1, at - 1) .. PIECES[math.random(#PIECES)] .. text:sub(at)
  elseif kind == 2 then -- a part left out
    return text:sub(1, at - 1) .. text:sub(at + math.random(4))
  elseif kind == 3 then -- a part replaced
    local piece = PIECES[math.random(#PIECES)]
    return text:sub(1, at - 1) .. piece .. text:sub(at + #piece)
  elseif kind == 4 then -- twice
    return text .. "," .. text:sub(at)
  end
  return text:sub(at) .. text:sub(1, at - 1)
end

---What an id in a header is after the white space around it was taken away.
local function trimmed(text)
  return text:match("^[ \t]*(.-)[ \t]*$")
end

-- The standard's own words, written anew: a list of ids has parts `epoch-sequence`, hexadecimal in
-- lower case and decimal, without leading zeros and below 2^64.
local function parse(part)
  local epoch, number = part:match("^([0-9a-f]+)%-([0-9]+)$")
  local is_id = epoch and not epoch:find("^0.") and not number:find("^0.") and #epoch <= 16 and
    (#number < 20 or #number == 20 and number <= "18446744073709551615")
  return is_id and epoch or nil, number
end

---What must come of the id: "resume" and the number, or the reason of the reset.
local function verdict(text, epoch, last)
  if text == "" then
    return "none"
  end
  local found
  for part in (text .. ","):gmatch("([^,]*),") do
    local its_epoch, number = parse(part)
    if not its_epoch then
      return "malformed"
    elseif its_epoch == epoch and not found then
      found = number
    end
  end
  if not found then
    return "epoch"
  elseif #found > 15 or tonumber(found) > last then
    return "ahead"
  elseif tonumber(found) < last - HISTORY then
    return "expired", tonumber(found)
  end
  return "resume", tonumber(found)
end

---What the reader of `stream` was sent when the event "end" has come.
local function received(stream)
  local notice, words = nil, {}
  while true do
    local event = stream:event()
    if event.data == "end" then
      return notice, table.concat(words, " ")
    elseif event.type == "reset" then
      assert.is_nil(notice)
      assert.equal(0, #words)
      notice = hub.notice(event)
    else
      words[#words + 1] = event.data
    end
  end
end

local function header(text)
  return { target = "/on/room", headers = {
    { "Accept", "text/event-stream" }, { "Last-Event-ID", text },
  } }
end

local function query(text)
  return {
    target = "/on/room?last_event_id=" .. text:gsub("[^%w]", function(octet)
      return ("%%%02x"):format(octet:byte())
    end),
    headers = { ["Accept"] = "text/event-stream" },
  }
end

---Sends `ids` to a server, each as one reader's, and judges what comes of each. `put` makes the
---fields of the request. An id that cannot even be a header gets a 400.
local function judge(ids, put)
  local server = hub.start_inside(nil, { args = { "--log-level", "warn" } })
  hub.keep(server, "room", ("{ history = %d }"):format(HISTORY))
  local last = 40
  local id = hub.publish_numbers(server, "room", 1, last)
  local epoch = hub.parts(id)
  local kinds, streams = {}, {}
  for _, make in ipairs(ids) do
    local text = make(id)
    local client = server:connect()
    client:send(wire.request(put(text)))
    local head = client:head()
    if head.status == 200 then
      streams[#streams + 1] = { sse.stream(client, head), text }
    else
      assert.equal(400, head.status, text)
      client:close()
    end
  end
  hub.await_subscribers(server, "room", #streams)
  hub.publish(server, "room", "end")
  for _, case in ipairs(streams) do
    local stream, text = case[1], case[2]
    text = put == header and trimmed(text) or text
    local notice, words = received(stream)
    local what, number = verdict(text, epoch, last)
    kinds[what] = (kinds[what] or 0) + 1
    local is_reset = what ~= "resume" and what ~= "none"
    assert.equal(is_reset and what or nil, notice and notice.reason, text)
    assert.equal(what == "resume" and numbers(number + 1, last) or "", words, text)
    if is_reset then
      assert.same({ id, what == "expired" and last - number or nil }, { notice.to, notice.missed })
    end
    stream:close()
  end
  hub.await_subscribers(server, "room", 0)
  return kinds
end

describe("an id that a peer sends", function()
  it("is resumed or reset once, whatever a few hundred mutations made of it", function()
    math.randomseed(20261123)
    local kinds = {}
    for _, put in ipairs { header, query } do
      local ids = {}
      for i = 1, 400 do
        ids[i] = function(id)
          local text = further(id, math.random(-39, 5))
          for _ = 1, math.random(0, 3) do
            text = mutated(text)
          end
          return text
        end
      end
      for what, count in pairs(judge(ids, put)) do
        kinds[what] = (kinds[what] or 0) + count
      end
    end
    for _, what in ipairs { "resume", "malformed", "epoch", "ahead", "expired" } do
      assert.is_true((kinds[what] or 0) >= 3, ("%d were %s"):format(kinds[what] or 0, what))
    end
  end)

  it("may have any single octet at any place", function()
    local ids = {}
    for octet = 0, 255 do
      ids[#ids + 1] = function(id)
        local at = octet % (#id + 1)
        return id:sub(1, at) .. string.char(octet) .. id:sub(at + 1)
      end
    end
    judge(ids, query)
    judge(ids, header) -- CR, LF and NUL end in a 400
  end)

  it("may be as long as a head may be, and is then judged as fast", function()
    local ids = {
      function() return ("1-1,"):rep(3000) .. "1-1" end,
      function(id) return ("1-1,"):rep(3000) .. further(id, -3) end,
      function(id) return further(id, -3) .. (",1-1"):rep(3000) end,
      function() return (","):rep(12000) end,
      function() return ("9"):rep(12000) end,
      function() return ("9"):rep(6000) .. "-" .. ("9"):rep(6000) end,
      function(id) return (further(id, -2) .. ","):rep(400) .. id end,
    }
    local kinds = judge(ids, header)
    assert.same({ epoch = 1, resume = 3, malformed = 3 }, kinds)
  end)

  it("is the first one when there are several fields", function()
    local server = hub.start_inside()
    hub.keep(server, "room")
    local id = hub.publish_numbers(server, "room", 1, 10)
    local client = server:connect()
    client:send(wire.request { target = "/on/room?last_event_id=x", headers = {
      { "Accept", "text/event-stream" }, { "Last-Event-ID", further(id, -3) },
      { "Last-Event-ID", "1-1" },
    } })
    local stream = sse.stream(client, client:head())
    assert.equal("8 9 10", hub.data(stream, 3))
    stream:close()
  end)

  it("asks for nothing that its sender may not subscribe to", function()
    local server = hub.start_inside [[
server:get("/of/:name", function(request, response)
  local name = request.params.name
  if name ~= "public" then return response:status(403):send("no\n") end
  response.sse:subscribe(env.kept[name], { since = "earliest" })
end)
]]
    hub.keep(server, "public")
    hub.keep(server, "secret")
    local secret = hub.publish_numbers(server, "secret", 1, 5)
    local public = hub.publish_numbers(server, "public", 101, 103)
    for _, id in ipairs {
      further(secret, -4), further(secret, -4) .. "," .. further(public, -1),
      further(public, -1) .. "," .. further(secret, -4),
    } do
      assert.equal(403, server:request({
        target = "/of/secret", headers = { Accept = "text/event-stream", ["Last-Event-ID"] = id },
      }).status)
      local stream = server:stream("/of/public", { last_event_id = id })
      run(server, "kept.public:publish('end')")
      repeat
        local event = stream:event()
        assert.is_nil(event.data:find("^[1-5]$"))
        assert.is_true(event.type ~= "reset" or hub.notice(event).channel == "public")
      until event.data == "end"
      stream:close()
    end
  end)
end)
