-- PROXY headers for specs, and what a server is asked behind them.

local proxied = {}

proxied.SCRIPT = [[
server:get("/ip", function(request, response) response:send(request.ip) end)
server:get("/events", function(request, response)
  response.sse:send(request.ip)
  lunesse.sleep(1000)
end)
server:post("/length", function(request, response) response:send(#request:text()) end)
]]

local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"

-- Addresses of version 2: 192.0.2.1:12345 to 198.51.100.2:443, and 2001:db8::7 to ::.
proxied.FOUR = "\xc0\0\2\1\xc6\x33\x64\2\x30\x39\1\xbb"
proxied.SIX = "\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\7" .. ("\0"):rep(16) .. "\0\1\0\2"

---A header of version 2.
function proxied.binary(command, family, addresses)
  return SIGNATURE .. string.pack(">BBs2", 0x20 | command, family, addresses)
end

-- The same client by both versions.
proxied.V1 = "PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n"
proxied.V2 = proxied.binary(1, 0x11, proxied.FOUR)

return proxied
