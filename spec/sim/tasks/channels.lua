-- What was published, and how far each reader has come. Another worker sees an event when its own
-- turn comes, which is at the same moment of the world's time: so what is of this moment may be
-- missing from what a reader gets, and nothing else may.

local expect = require "spec.sim.tasks.expect"

local Channels = {}
Channels.__index = Channels

function Channels.new()
  return setmetatable({ by_name = {} }, Channels)
end

function Channels:_find(name)
  local channel = self.by_name[name] or { name = name, data = {}, times = {} }
  self.by_name[name] = channel
  return channel
end

---The number of an event by its id, or of the place that a cursor names.
local function number_of(id)
  return tonumber(id:match("%-(%d+)$"))
end

function Channels:publish(now, name, data, id)
  local channel = self:_find(name)
  if channel.finished then
    expect(id == "EFINISHED", "%s was finished, and publishing %s answers %s", name, data, id)
    return
  end
  local count = #channel.data + 1
  expect(number_of(id) == count, "event %d of %s is %s", count, name, id)
  channel.data[count], channel.times[count] = data, now
end

function Channels:finish(now, name)
  local channel = self:_find(name)
  channel.finished = channel.finished or now
end

---Where a reader begins: behind the event of the cursor, or at the beginning for "-". It takes
---`max` events at a time.
function Channels:place(now, name, cursor, max)
  return {
    channel = self:_find(name), at = cursor == "-" and 0 or number_of(cursor), max = max,
    moment = now, -- at which its task ran last
  }
end

---Whether a reader at the place has anything to do.
function Channels.has_news(place)
  local channel = place.channel
  return #channel.data > place.at or channel.finished ~= nil
end

function Channels.meet(now, place, data)
  local channel = place.channel
  place.at = place.at + 1
  expect(data == channel.data[place.at], "event %d of %s is %s, and a reader gets %s", place.at,
    channel.name, channel.data[place.at], data)
  expect(place.moment == now or channel.times[place.at] == now,
    "event %d of %s was published at %d ms, and a reader that waits gets it at %d ms", place.at,
    channel.name, channel.times[place.at], now)
  place.moment = now
end

---A reader is told that nothing follows.
function Channels.check_over(place)
  local channel = place.channel
  expect(channel.finished and place.at == #channel.data,
    "%s has %d events, and a reader that got %d is told that it is over", channel.name,
    #channel.data, place.at)
end

---What one call of `read` returned. It waits no longer than until its time is up, or the server is
---told to end.
function Channels.read(now, end_ms, doing, cursor, is_over, data)
  local place, count = doing.place, 0
  local channel = place.channel
  for each in data:gmatch("[^,]+") do
    Channels.meet(now, place, each)
    count = count + 1
  end
  expect(count <= place.max, "%d events of %s at once, and not %d", count, channel.name, place.max)
  expect(number_of(cursor) == place.at, "the cursor behind event %d of %s is %s", place.at,
    channel.name, cursor)
  if is_over == "true" then
    return Channels.check_over(place)
  end
  local following = channel.times[place.at + 1]
  if count < place.max then
    expect(not following or following == now, "%s has more than the %d events of a read",
      channel.name, count)
    expect(following or not channel.finished or channel.finished == now,
      "%s was finished, and a read does not say so", channel.name)
  end
  expect(count > 0 or now == doing.deadline or now == end_ms,
    "a read of %s returns nothing at %d ms, and not at %d", channel.name, now, doing.deadline)
end

return Channels
