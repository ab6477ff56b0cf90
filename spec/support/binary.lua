--- A path that leads to another program from one moment to the next, as an upgrade of a package has
--- it.
---
---     local path = binary.new()                  -- the weir under test
---     binary.put(path, process.program "weir_ahead")
---     binary.script(path, "exit 3")              -- a program that is none
---     binary.remove(path)
local process = require "spec.support.process"

local binary = {}

local pwd = io.popen "pwd"
local here = pwd:read "*l"
pwd:close()

--- Path of a program of the build under test, from the root.
function binary.of(name)
  return here .. "/" .. process.program(name)
end

--- Replaces what is at `path`, as `install` does: a program that runs is not written to.
function binary.put(path, source)
  assert(os.execute(("cp %s %s.new && chmod 755 %s.new && mv %s.new %s"):format(source, path, path,
    path, path)) == 0)
end

--- Puts a shell script there.
function binary.script(path, text)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write("#!/bin/sh\n" .. text .. "\n")
  file:close()
  binary.put(path, name)
  os.remove(name)
end

--- A path with the weir under test.
function binary.new()
  local path = os.tmpname()
  binary.put(path, binary.of "weir")
  return path
end

function binary.remove(path)
  os.execute(("rm -f %s %s.*"):format(path, path))
end

return binary
