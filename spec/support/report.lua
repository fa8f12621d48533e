-- How the suite reports: one line a spec file, each failure in full when it happens, and one last
-- line `N passed, N failed`, which others read. Skipped tests are counted there as well.

local pretty = require "pl.pretty"

local function words(message)
  if type(message) == "string" then
    return message
  end
  return message == nil and "no message" or pretty.write(message)
end

local function write(...)
  io.write(...)
  io.flush()
end

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local totals = { success = 0, failure = 0, pending = 0 }
  local of_file = { success = 0, failure = 0, pending = 0 }

  local function count(what)
    totals[what] = totals[what] + 1
    of_file[what] = of_file[what] + 1
  end

  local function server_logs()
    local Server = package.loaded["spec.support.server"]
    return Server and Server.recent_logs() or ""
  end

  local function show(failure)
    local trace = failure.trace or failure.element.trace or {}
    write("\nFAILED  ", failure.name, "\n")
    write("        ", trace.short_src or "?", ":", tostring(trace.currentline), "\n")
    write((words(failure.message):gsub("[^\n]+", "        %0")), "\n")
    local logs = server_logs()
    if logs ~= "" then
      write("        the server's log:\n", (logs:gsub("[^\n]+", "        | %0")), "\n")
    end
  end

  function handler.fileStart()
    of_file = { success = 0, failure = 0, pending = 0 }
    return nil, true
  end

  function handler.testEnd(_, _, status)
    if status == "success" or status == "pending" then
      count(status)
    end
    return nil, true
  end

  function handler.failed(element, parent, message, debug)
    count("failure")
    show(handler.format(element, parent, message, debug, true))
    return nil, true
  end

  function handler.fileEnd(file)
    local skipped = of_file.pending > 0 and (", %d skipped"):format(of_file.pending) or ""
    write(("%-40s %4d passed, %d failed%s  (%.2f s)\n"):format(file.name:gsub("^%./", ""),
      of_file.success, of_file.failure, skipped, file.duration or 0))
    return nil, true
  end

  function handler.suiteEnd()
    local skipped = totals.pending > 0 and (", %d skipped"):format(totals.pending) or ""
    for _, pending in ipairs(handler.pendings) do
      write("SKIPPED ", pending.name, ": ", words(pending.message), "\n")
    end
    write(("%d passed, %d failed%s\n"):format(totals.success, totals.failure, skipped))
    return nil, true
  end

  busted.subscribe({ "file", "start" }, handler.fileStart)
  busted.subscribe({ "test", "end" }, handler.testEnd, { predicate = handler.cancelOnPending })
  busted.subscribe({ "failure" }, handler.failed)
  busted.subscribe({ "error" }, handler.failed)
  busted.subscribe({ "file", "end" }, handler.fileEnd)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)

  return handler
end
