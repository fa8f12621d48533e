-- A connection as its peer sees it: what is still to be sent, and the reader of what comes. The app
-- owns it, and asks it in each round of a turn to send what is due (`push`) and to take what has
-- come (`pull`). What it reads it tells its `answer`, if it has one at the moment.

local http = require "lunesse.test.http"

local Conn = {}
Conn.__index = Conn

---Opens a connection. Options: `worker`, `window` (bytes of a body that the peer takes; the head of
---an answer is always taken), `peer` (an address), `slow` (bytes that are sent in one turn),
---`proxy_header` (bytes that the connection begins with; it comes to a listener that expects them).
function Conn.open(app, options)
  local inner, why = app.core:connect {
    worker = options.worker, window = options.window and 1 or nil, peer = options.peer,
    proxied = options.proxy_header ~= nil,
  }
  if not inner then
    return nil, why
  end
  local self = setmetatable({
    app = app, core = inner, slow = options.slow, window = options.window, _queue = {},
    is_open = true,
  }, Conn)
  if options.proxy_header then
    self:send(options.proxy_header)
  end
  return self
end

---Begins a request: `answer` is told what comes back.
function Conn:ask(method, answer)
  self.answer = answer
  self.reader = http.reader(method)
end

---Sends `bytes` when it is the turn of them: in one turn, or in the pieces of a slow sender, at
---`at` or later.
function Conn:send(bytes, at)
  local step = self.slow or math.max(#bytes, 1)
  for start = 1, #bytes, step do
    self._queue[#self._queue + 1] = { bytes = bytes:sub(start, start + step - 1), at = at }
  end
end

---Closes the sending side once all is sent.
function Conn:finish()
  self._queue[#self._queue + 1] = { is_end = true }
end

---Ends the connection with a reset.
function Conn:leave()
  self.core:leave()
  self:_close("left")
end

---From now on the peer takes `bytes` more; all, when nil.
function Conn:set_window(bytes)
  self.window = nil
  self.core:window(bytes)
end

---When the next piece is due: a Unix time, or nil.
function Conn:due()
  return self._queue[1] and self._queue[1].at
end

---Sends one piece that is due. Answers whether there was one.
function Conn:push()
  local piece = self._queue[1]
  if not piece or not self.is_open or piece.at and piece.at > self.app.core:now() then
    return false
  end
  table.remove(self._queue, 1)
  if piece.is_end then
    self.core:finish()
  else
    self.core:send(piece.bytes)
  end
  return true
end

---A peer with a window takes the head byte by byte, so that no byte of the body comes with it.
function Conn:_widen()
  if self.reader.response then
    self:set_window(self.window)
  else
    self.core:window(1)
  end
end

---Takes what has come. Answers whether something has, the end included.
function Conn:pull()
  if not self.is_open then
    return false
  end
  local bytes = self.core:take()
  if bytes ~= "" and self.reader then
    self:_feed(bytes)
  end
  local state = self.is_open and self.core:state() or "open"
  if state ~= "open" then
    self:_close(state)
    return true
  end
  return bytes ~= ""
end

function Conn:_feed(bytes)
  local reader, answer = self.reader, self.answer
  local had_head = reader.response ~= nil
  local pieces = reader:feed(bytes)
  if reader.response and not had_head then
    answer:_on_head(reader.response)
  end
  if #pieces > 0 then
    answer:_on_body(pieces)
  end
  if self.window then
    self:_widen()
  end
  if reader.is_done then
    self:_settle()
  end
end

---The answer is complete: the connection serves the next request of its client, or is finished.
function Conn:_settle()
  local answer, reader = self.answer, self.reader
  self.answer, self.reader = nil, nil
  if not self.is_kept or reader.rest ~= "" then
    self:finish()
  end
  self.is_idle = self.is_kept
  answer:_on_end("complete")
end

---The connection is over: `state` is "closed", "reset", or "left" when the peer did it.
function Conn:_close(state)
  local answer, reader = self.answer, self.reader
  self.is_open, self.is_idle, self.answer = false, false, nil
  self.app:_forget(self)
  if answer then
    local is_complete = state == "closed" and reader:finish()
    answer:_on_end(is_complete and "complete" or state == "closed" and "cut" or state)
  end
end

return Conn
