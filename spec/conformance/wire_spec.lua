--- The checklist of README.md on the wire: each case says what a client sends, what it gets, and
--- every byte that the upstream sees.
local case = require "spec.conformance.case"
local gateway = require "spec.support.gateway"
local process = require "spec.support.process"

local FILES = { "framing", "fields", "target", "meaning", "upstreams", "connection", "h2" }

-- What the client talks, and what calls the upstream: ours on plain sockets, libcurl behind TLS.
local RUNS = { { "h1", "h1" }, { "h1", "curl" }, { "h2", "h1" } }

for _, run in ipairs(RUNS) do
  local version, transport = unpack(run)
  describe(("on the wire, client %s, upstream %s"):format(version, transport), function()
    local w, g, relay, folder
    local url

    setup(function()
      w = case.wire.new()
      local ca_file
      w.known_port, url = w.port, "http://127.0.0.1:" .. w.port
      if transport == "curl" then
        folder = os.tmpname()
        os.remove(folder)
        os.execute("mkdir " .. folder)
        relay = process.spawn { "/usr/bin/python3", "spec/support/relay.py", w.port, folder }
        w.known_port, ca_file = tonumber((relay:line "port (%d+)")), relay:line "cert (%S+)"
        url = "https://127.0.0.1:" .. w.known_port
      end
      g = gateway.start { workers = 1, upstream = w.port, url = url, ca_file = ca_file,
        log_level = "error", [[
        local weir = require "weir"
        weir.listen "127.0.0.1:$(port)"
        local up = weir.upstream("up", { endpoints = { "$(url)" } })
        -- Sets what the query names; tells whether it could.
        local function set(headers, query)
          local ok = true
          for name, value in pairs(query) do
            ok = pcall(function() headers[name] = value end) and ok
          end
          headers["X-Set"] = tostring(ok)
        end
        weir.route("GET /made", function(req)
          local r = weir.response(200, "made", { ["Content-Type"] = "text/plain" })
          set(r.headers, req.query)
          return r
        end)
        weir.route("GET /sent", function(req)
          set(req.headers, req.query)
          return up:forward(req, { path = "/plain" })
        end)
        weir.route("GET /moved", function(req)
          return up:forward(req, { path = req.query.to })
        end)
        weir.route("GET /any", function(req)
          local r, err = weir.http.get((req.query.url:gsub("http://UP", "$(url)")))
          if not r then return err.kind end
          return weir.response(r.status, "answered", { ["X-Location"] = r.headers.location })
        end)
        weir.route("/refused", function() return weir.response(403, "no") end)
        weir.route("/limited", { body_max = "1KiB" }, function(req) return up:forward(req) end)
        weir.route("/*rest", function(req) return up:forward(req) end)
      ]] }
      -- Paths that a script may not send.
      g:expect "script.error"
    end)

    teardown(function()
      w:close()
      g:stop()
      if relay then relay:kill() end
      if folder then os.execute("rm -rf " .. folder) end
    end)

    for _, file in ipairs(FILES) do
      for _, c in ipairs(require("spec.conformance.cases." .. file)) do
        if c.not_over ~= transport and (c.over or version) == version then
          it(("%s §4.%d: %s"):format(c.place, c.line, c.reason), function()
            case.run(c, w, g.port, version)
          end)
        end
      end
    end
  end)
end
