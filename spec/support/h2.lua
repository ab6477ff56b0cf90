--- Clients of HTTP/2 for specs: `h2_client.py` in cases of its own, curl, nghttp and h2load.
---
---     local h2 = require "spec.support.h2"
---     local results = h2.run(port, { "get", "bad=crlf" })    -- one table for each case
---     assert.equal(200, results[1].streams["1"].status)
---     local text, code = h2.command("curl -s --http2-prior-knowledge http://127.0.0.1:%d/", port)
local json = require "cjson"
local process = require "spec.support.process"

local h2 = {}

--- RFC 9113 7.
h2.NO_ERROR, h2.PROTOCOL_ERROR, h2.INTERNAL_ERROR, h2.FLOW_CONTROL_ERROR = 0, 1, 2, 3
h2.STREAM_CLOSED, h2.FRAME_SIZE_ERROR, h2.REFUSED_STREAM, h2.CANCEL = 5, 6, 7, 8
h2.COMPRESSION_ERROR, h2.ENHANCE_YOUR_CALM = 9, 11

--- Starts the client; its output is read with `h2.results`.
function h2.start(port, cases, options)
  local words = { "/usr/bin/python3", "spec/support/h2_client.py" }
  if options and options.tls then words[#words + 1] = "--tls" end
  words[#words + 1] = tostring(port)
  for _, case in ipairs(cases) do words[#words + 1] = case end
  return process.spawn(words)
end

--- What the started client reported, once it has ended.
function h2.results(client, count)
  local code = client:wait(90)
  local results = {}
  for line in client:stdout():gmatch "[^\n]+" do
    if line:sub(1, 1) == "{" then results[#results + 1] = json.decode(line) end
  end
  assert(code == 0 and #results == count,
    ("h2_client.py ended with %s after %d of %d cases: %s"):format(tostring(code), #results, count,
      client:stderr()))
  return results
end

--- Runs cases to their end; a list of results.
function h2.run(port, cases, options)
  return h2.results(h2.start(port, cases, options), #cases)
end

--- Runs a shell command, at most half a minute; what it printed and its exit code.
function h2.command(format, ...)
  local p = process.spawn { "/bin/sh", "-c", "exec timeout 30 " .. format:format(...) .. " 2>&1" }
  local code = p:wait(40)
  return p:stdout(), code
end

return h2
