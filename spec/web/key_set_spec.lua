-- web.bearer with keys that stand at a URL: when they are fetched, how often, and what is kept when
-- a fetch fails. The spec is the server that has the keys.

local cjson = require "cjson"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local clock = require "spec.support.clock"
local support = require "spec.upstream.support"

-- Makes keys and a token by each, which has no end. Prints { set = {{ kid, jwk }}, tokens = {} }.
local NODE = [[
const crypto = require("crypto");
const b64 = (value) => Buffer.from(value).toString("base64url");
const keys = {}, tokens = {};
for (const kid of ["a", "b", "c"]) {
  const pair = crypto.generateKeyPairSync("ed25519");
  keys[kid] = { ...pair.publicKey.export({ format: "jwk" }), kid };
  const text = b64(JSON.stringify({ alg: "EdDSA", kid })) + "." + b64(JSON.stringify({ sub: kid }));
  tokens[kid] = text + "." + b64(crypto.sign(null, text, pair.privateKey));
}
console.log(JSON.stringify({ keys, tokens }));
]]

local made

local function make()
  if not made then
    local code, out, err = Process.run({ "node", "-e", NODE }, { seconds = 30 })
    assert.equal(0, code, err)
    made = cjson.decode(out)
  end
  return made
end

-- A key set of the keys of these names.
local function set_of(...)
  local keys = {}
  for i, name in ipairs { ... } do
    keys[i] = make().keys[name]
  end
  return cjson.encode { keys = keys }
end

local function start(upstream)
  return Server.start(([[
    local lunesse = require "lunesse"
    local server = lunesse.server()
    local bearer = lunesse.web.bearer { jwks = "%s/keys" }
    server:get("/", bearer, function(request, response) response:send(request.state.user) end)
  ]]):format(upstream.url), { clock = true, workers = 1 })
end

-- Sends a request with the token of this name; `answer` reads what comes.
local function begin(server, name)
  local client = server:connect()
  client:send(("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"):format(
    make().tokens[name]))
  return client
end

-- The status, and who it was where that is 200.
local function answer(client)
  local response = client:response()
  return response.status == 200 and response.body or response.status
end

-- Answers the next fetch, which has to be there, with this body.
local function serve(upstream, body, status)
  local conn = upstream:accept()
  assert.matches("^GET /keys HTTP/1%.1\r\n", (conn:request()))
  conn:send(("HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(
    status or "200 OK", #body, body))
  conn:close()
end

describe("web.bearer with the URL of keys", function()
  local upstream, server

  before_each(function()
    upstream = support.listen()
    server = start(upstream)
  end)

  after_each(support.close_all)

  -- A server with the keys a and b in hand.
  local function fill(...)
    local client = begin(server, "a")
    serve(upstream, set_of(...))
    assert.equal("a", answer(client))
  end

  it("fetches them once, when the first tokens come, for all who wait", function()
    local clients = {}
    for i, name in ipairs { "a", "b", "a", "c" } do
      clients[i] = begin(server, name)
    end
    clients[1]:close() -- the one for whom it was begun leaves
    serve(upstream, set_of("a", "b"))
    assert.equal("b", answer(clients[2]))
    assert.equal("a", answer(clients[3]))
    assert.equal(401, answer(clients[4])) -- which is no reason to fetch again so soon
    assert.equal("b", answer(begin(server, "b")))
    assert.is_nil(upstream:try_accept(0))
  end)

  it("fetches them again for a name that is not there, once a minute at most", function()
    fill("a")
    server:advance(59)
    assert.equal(401, answer(begin(server, "b")))
    server:advance(1)
    local first, second = begin(server, "b"), begin(server, "c")
    serve(upstream, set_of("a", "b"))
    assert.equal("b", answer(first))
    assert.equal(401, answer(second))
    assert.equal(401, answer(begin(server, "c")))
    assert.is_nil(upstream:try_accept(0))
  end)

  it("keeps those that it has when a fetch fails", function()
    fill("a")
    local many = {}
    for i = 1, 65 do many[i] = make().keys.a end
    for body, status in pairs {
      ["busy"] = "503 Service Unavailable", [set_of("b") .. "."] = "200 OK", ["null"] = "200 OK",
      ["[]"] = "200 OK", ['{"keys":{"a":1}}'] = "200 OK", [set_of("b") .. " "] = "404 Not Found",
      [set_of("b") .. (" "):rep(256 * 1024)] = "200 OK",
      [cjson.encode { keys = many }] = "200 OK",
    } do
      server:advance(60)
      local client = begin(server, "b")
      serve(upstream, body, status)
      assert.equal(401, answer(client), body)
      assert.equal("a", answer(begin(server, "a")), body)
    end
    server:advance(60)
    local client = begin(server, "b")
    upstream:accept():close()
    assert.equal(401, answer(client))
    assert.matches("the keys could not be fetched.* kept=1", server:log())
  end)

  it("leaves out keys that it cannot use", function()
    local client = begin(server, "a")
    local others = '%0{"kty":"oct","k":"AAAA","kid":"b"},7,'
    serve(upstream, (set_of("a", "b"):gsub('"keys":%[', others)))
    assert.equal("a", answer(client))
    assert.equal("b", answer(begin(server, "b")))
  end)

  it("says that nobody can be judged while it has none, and tries again soon", function()
    local client = begin(server, "a")
    serve(upstream, "", "500 Oops")
    local response = client:response()
    assert.equal(503, response.status)
    assert.equal("5", response.headers["retry-after"])
    assert.equal(503, answer(begin(server, "a")))
    server:advance(5)
    fill("a")
  end)

  it("does not wait for ever", function()
    local client = begin(server, "a")
    local conn = upstream:accept()
    conn:request()
    server:advance(5)
    assert.equal(503, answer(client))
  end)

  it("asks again after ten minutes, and lets nobody wait for it", function()
    fill("a", "b")
    server:advance(601)
    assert.equal("b", answer(begin(server, "b")))
    assert.equal("a", answer(begin(server, "a"))) -- there is no answer yet
    serve(upstream, set_of("b"))
    clock.eventually(function() return answer(begin(server, "a")) == 401 end)
    assert.equal("b", answer(begin(server, "b")))
    assert.is_nil(upstream:try_accept(0))
  end)
end)
