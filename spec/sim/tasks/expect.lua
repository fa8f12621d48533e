-- `expect(holds, format, ...)` raises the promise that was broken, for the host to print.

return function(holds, format, ...)
  if not holds then
    local values = table.pack(...)
    for i = 1, values.n do
      values[i] = type(values[i]) == "number" and values[i] or tostring(values[i])
    end
    error({ promise = format:format(table.unpack(values, 1, values.n)) }, 0)
  end
  return holds
end
