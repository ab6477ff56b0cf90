--- Lua states in a process of their own: drives build/<preset>/vm_host (spec/native/vm_host.c).
---
---     local answers = vm { { "load", "a.lua", "return 1" }, { "freeze" }, { "call" } }
---     answers[1].value --> 1
---
--- One answer for each load, call, core and reset, in order: `{ ok, value | file, line, message,
--- traceback, ms, used, peak, printed }`. Fails when the process does not end by itself and
--- cleanly.
local cjson = require "cjson"

local preset = os.getenv "WEIR_PRESET" or "dev"

return function(frames)
  local input = os.tmpname()
  local file = assert(io.open(input, "wb"))
  for _, frame in ipairs(frames) do
    local kind, name, text = frame[1], frame[2] or "-", frame[3] or ""
    file:write(kind, " ", name, " ", #text, "\n", text)
  end
  file:close()
  local command = ("timeout 120 build/%s/vm_host <%s 2>&1; echo exit $?"):format(preset, input)
  local pipe = assert(io.popen(command))
  local answers, rest = {}, {}
  for line in pipe:lines() do
    if line:sub(1, 1) == "{" then
      answers[#answers + 1] = cjson.decode(line)
    else
      rest[#rest + 1] = line
    end
  end
  pipe:close()
  os.remove(input)
  rest = table.concat(rest, "\n")
  assert(rest == "exit 0", "vm_host: " .. rest)
  return answers
end
