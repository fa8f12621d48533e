-- web.limit: how much one client may ask for, and how many streams it may hold.

local support = require "spec.web.support"

local start = support.start

local function limited(answer)
  return { answer.status, answer.headers["ratelimit"], answer.headers["retry-after"] }
end

describe("web.limit", function()
  it("says what is left, and refuses what is too much until there is more", function()
    local app = start "lunesse.web.limit { requests = 3, window = 30 }"
    local answer = app:get("/")
    assert.equal('"default";q=3;w=30', answer.headers["ratelimit-policy"])
    assert.same({ 200, '"default";r=2;t=10' }, limited(answer))
    assert.same({ 200, '"default";r=1;t=20' }, limited(app:get("/")))
    assert.same({ 200, '"default";r=0;t=30' }, limited(app:get("/")))
    answer = app:get("/")
    assert.same({ 429, '"default";r=0;t=30', "10" }, limited(answer))
    assert.equal("429: too many requests; try again in 10 s\n", answer:text())
    app:advance(9)
    assert.same({ 429, '"default";r=0;t=21', "1" }, limited(app:get("/")))
    app:advance(1)
    assert.same({ 200, '"default";r=0;t=30' }, limited(app:get("/")))
    app:advance(30)
    assert.same({ 200, '"default";r=2;t=10' }, limited(app:get("/")))
  end)

  it("counts by address, and of IPv6 by the network of a household", function()
    local app = start "lunesse.web.limit { requests = 1 }"
    local function status(peer)
      return app:get("/", { peer = peer }).status
    end
    assert.same({ 200, 429, 200 }, { status "192.0.2.1", status "192.0.2.1", status "192.0.2.2" })
    assert.same({ 200, 429, 200 },
      { status "2001:db8:0:1::1", status "2001:db8:0:1:ffff::2", status "2001:db8:0:2::1" })
    assert.same({ 200, 429, 200 }, { status "::1", status "::2", status "::ffff:192.0.2.3" })
    assert.same({ 429, 200 }, { status "192.0.2.3", status "1:2:3:4:5:6:7:8" })
    assert.same({ 429, 200 }, { status "1:2:3:4::", status "1:2:3::" })
  end)

  it("counts by a key of the script's, and not at all without one", function()
    local app = start [[lunesse.web.limit { requests = 1,
      key = function(request) return request.query.user end }]]
    local function status(user)
      return app:get("/" .. (user and "?user=" .. user or "")).status
    end
    assert.same({ 200, 429, 200, 200, 200 },
      { status "ada", status "ada", status "bob", status(), status() })
    assert.is_nil(app:get("/").headers.ratelimit)
  end)

  it("counts over all workers, and goes on after a reload", function()
    local app = start("lunesse.web.limit { requests = 4 }", { workers = 2 })
    local statuses = {}
    for i = 1, 6 do
      statuses[i] = app:get("/", { worker = i % 2 + 1 }).status
    end
    assert.same({ 200, 200, 200, 200, 429, 429 }, statuses)
    assert(app:reload())
    assert.equal(429, app:get("/").status)
  end)

  it("has a count of its own for each limit, which all are told of", function()
    local app = start [[lunesse.web.limit { requests = 9 },
      lunesse.web.limit { requests = 2, window = 2, name = "burst" }]]
    local answer = app:get("/")
    local names = {}
    for _, field in ipairs(answer.fields) do
      if field[1]:lower() == "ratelimit" then
        names[#names + 1] = field[2]
      end
    end
    assert.same({ '"default";r=8;t=7', '"burst";r=1;t=1' }, names)
    app:get("/")
    answer = app:get("/")
    assert.equal(429, answer.status)
  end)

  it("counts the streams that are open, over all workers, until they end", function()
    local app = start("lunesse.web.limit { streams = 2 }", { workers = 2 })
    local one = app:stream("/events", { worker = 1 })
    local two = app:stream("/events", { worker = 2 })
    assert.same({ 200, 200 }, { one.status, two.status })
    local answer = app:get("/events", { accept = "text/event-stream" })
    assert.same({ 429, nil, "10" }, limited(answer))
    assert.equal("429: too many open streams; try again in 10 s\n", answer:text())
    assert.equal(200, app:get("/").status)
    assert.equal(200, app:stream("/events", { peer = "192.0.2.1" }):leave().status)
    one:leave()
    local three = app:stream("/events")
    assert.equal(200, three.status)
    two:leave()
    three:leave()
    assert.equal(200, app:stream("/events"):leave().status)
  end)

  it("counts the streams of a route that streams whatever Accept says", function()
    local app = start "lunesse.web.limit { streams = 1 }"
    local headers = { Accept = "application/json" }
    local stream = app:stream("/model", { method = "POST", headers = headers })
    assert.equal(200, stream.status)
    assert.equal(429, app:post("/model", { headers = headers }).status)
    stream:leave()
    assert.equal(200, app:stream("/model", { method = "POST", headers = headers }):leave().status)
  end)

  it("lets requests pass uncounted when its store is full, and says so", function()
    local app = start("lunesse.web.limit { requests = 1, streams = 1 }",
      { workers = 1, args = { "--limit", "shared_bytes=1" } }) -- each worker says it
    assert.equal(200, app:get("/").status)
    assert.equal(200, app:get("/").status)
    assert.equal(200, app:stream("/events"):leave().status)
    assert.equal(1, #app:log("web.limit: the store is full"))
  end)

  it("takes no mistakes", function()
    assert.equal("web.limit: say how many requests, or how many streams", support.refusal "limit()")
    assert.equal("web.limit: requests is a whole number above 0",
      support.refusal "limit { requests = 0 }")
    assert.equal("web.limit: so many requests in so short a window are no limit",
      support.refusal "limit { requests = 1000000000, window = 1 }")
    assert.equal("web.limit: name is a name of letters, digits and !#$%&'*+-.^_`|~",
      support.refusal "limit { requests = 1, name = 'a\"b' }")
  end)
end)
