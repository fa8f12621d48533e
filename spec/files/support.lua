-- Folders of files for specs about files.

local lfs = require "lfs"
local posix = require "spec_posix"
local Process = require "spec.support.process"

local support = {}

local made = {}

-- When the files of a tree were changed: Sun, 06 Nov 1994 08:49:37 GMT.
support.MODIFIED = 784111777
support.MODIFIED_TEXT = "Sun, 06 Nov 1994 08:49:37 GMT"
support.EARLIER_TEXT = "Sun, 06 Nov 1994 08:49:36 GMT"
support.LATER_TEXT = "Sun, 06 Nov 1994 08:49:38 GMT"

---Writes `files`, texts by path, into a new folder and returns its path.
function support.tree(files)
  local folder = assert(posix.make_folder())
  made[#made + 1] = folder
  for name, text in pairs(files) do
    local path = folder
    for part in name:gmatch("([^/]+)/") do
      path = path .. "/" .. part
      lfs.mkdir(path)
    end
    Process.write_file(folder .. "/" .. name, text)
    assert(lfs.touch(folder .. "/" .. name, support.MODIFIED, support.MODIFIED))
  end
  return folder
end

---Removes every folder that was made.
function support.remove_all()
  while #made > 0 do
    Process.remove_folder(table.remove(made))
  end
end

---`size` bytes of which no two runs of 256 are alike.
function support.bytes(size)
  local parts = {}
  for i = 0, (size + 7) // 8 - 1 do
    parts[#parts + 1] = ("%07x\n"):format(i)
  end
  return table.concat(parts):sub(1, size)
end

---The parts of a multipart/byteranges: { type, range, body } each. Raises when it is malformed.
function support.parts(answer)
  local boundary = answer.headers["content-type"]:match("^multipart/byteranges; boundary=(%S+)$")
  assert(boundary, answer.headers["content-type"])
  local text = "\r\n" .. answer:text():gsub("^\r\n", "") -- with which nginx begins
  local divider = "\r\n--" .. boundary
  local parts, at = {}, 1
  while true do
    local first, last = text:find(divider, at, true)
    assert(first == at, ("no boundary where a part ends: %q"):format(text))
    if text:sub(last + 1) == "--\r\n" then
      return parts
    end
    local head_end = assert(select(2, text:find("\r\n\r\n", last, true)))
    local head = text:sub(last + 1, head_end)
    local from, to = head:match("Content%-Range: bytes (%d+)%-(%d+)/%d+\r\n")
    local size = to - from + 1
    parts[#parts + 1] = {
      type = head:match("Content%-Type: ([^\r]+)\r\n"),
      range = head:match("Content%-Range: ([^\r]+)\r\n"),
      body = text:sub(head_end + 1, head_end + size),
    }
    at = head_end + size + 1
  end
end

return support
