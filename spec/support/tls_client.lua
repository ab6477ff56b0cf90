--- spec/support/tls_client.py from Lua.
---
---     local r = tls.ask { ["do"] = "get", port = g.port, sni = "a.example" }
---     local p = tls.start { … }; p:line "running"; …; r = tls.answer(p)
local json = require "cjson"
local process = require "spec.support.process"

local tls = {}

--- Starts a client.
function tls.start(o)
  return process.spawn { "/usr/bin/python3", "spec/support/tls_client.py", json.encode(o) }
end

--- What a client that was started answers at its end.
function tls.answer(p)
  p:wait(40)
  local out, err = p:stdout(), p:stderr()
  p:kill()
  local line = out:match "([^\n]+)\n$"
  assert(line, err)
  return json.decode(line)
end

--- Both.
function tls.ask(o)
  return tls.answer(tls.start(o))
end

--- A program's output and code: `tls.run { "curl", … }`.
function tls.run(command)
  local p = process.spawn(command)
  p:wait(40)
  local out, err, code = p:stdout(), p:stderr(), p.code
  p:kill()
  return out, err, code
end

return tls
