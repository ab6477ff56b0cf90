--- The log as operators read it: its format, what is left out of it, and what repeats.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.route("GET /raises/:what", function(req) error(req.params.what, 0) end)
  weir.route("GET /secrets", function(req)
    weir.log.info("who", { Authorization = "Bearer x", ["set-cookie"] = "id=x", x_api_key = "x",
      PASSWORD = "x", tokens = 2, user = "ada" })
    return "ok"
  end)
]]

describe("the log", function()
  local g

  setup(function()
    g = gateway.start { SCRIPT, workers = 1 }
    g:expect "script.error"
  end)
  teardown(function() g:stop() end)

  it("keeps credentials out of scripts' lines", function()
    g:get "/secrets"
    local fields = g:wait_log("script.log").fields
    assert.same({ Authorization = "[redacted]", ["set-cookie"] = "[redacted]",
      x_api_key = "[redacted]", PASSWORD = "[redacted]", tokens = 2, user = "ada" }, fields)
  end)

  it("says the same a few times, and then how often", function()
    for _ = 1, 30 do assert.equal(500, g:get("/raises/again").status) end
    for _ = 1, 3 do assert.equal(500, g:get("/raises/other").status) end
    wait.for_("the access lines", function() return #g:log("access", { status = 500 }) == 33 end)
    local said = { again = 0, other = 0 }
    for _, line in ipairs(g:log "script.error") do
      local word = line.message:match "%a+$"
      said[word] = said[word] + 1
    end
    assert.same({ again = 5, other = 3 }, said)
    local line = wait.for_("the count", function() return g:log("log.repeats")[1] end, 20)
    assert.same({ "script.error", "again", 25 },
      { line.of, line.message:match "%a+$", line.count })
    assert.equal(1, #g:log "log.repeats")
  end)
end)

describe("the log of", function()
  for format, names in pairs {
    otel = { "event.name", "http.response.status_code", "url.path", "weir.why" },
    ecs = { "event.action", "http.response.status_code", "url.path", "labels.why" },
  } do
    it(format .. " has its names", function()
      local g = gateway.start { SCRIPT, workers = 1, log_format = format }
      g:get "/secrets"
      local line = wait.for_("an access line", function()
        for text in g.process:stdout():gmatch "([^\n]+)\n" do
          local one = json.decode(text)
          if one[names[1]] == "access" then return one end
        end
      end)
      assert.same({ "access", 200, "/secrets", "ok" },
        { line[names[1]], line[names[2]], line[names[3]], line[names[4]] })
      g:kill()
    end)
  end

  it("text is for people", function()
    local g = gateway.start { SCRIPT, workers = 1, log_format = "text" }
    g:get "/secrets"
    wait.for_("an access line", function()
      return g.process:stdout():match "%d%d:%d%d:%d%d%.%d%d%dZ info  access worker=0 .*status=200"
    end)
    g:kill()
  end)

  it("an unknown format does not start", function()
    local _, message = gateway.fail_to_start { SCRIPT, log_format = "xml" }
    assert.matches("%-%-log%-format is 'xml'; it must be json, otel, ecs or text", message)
  end)
end)

describe("warnings of a bundle", function()
  it("are logged a few of each kind, and the others as a number", function()
    local g = gateway.start { workers = 1, SCRIPT .. [[
      for i = 1, 40 do
        local policy = weir.policy("p" .. i, { weir.retry { max = 2 } })
        weir.route("GET /p/" .. i, function() return policy(function() return "ok" end) end)
      end
    ]] }
    local by_id, more = {}, {}
    for _, line in ipairs(g:log "policy.warning") do
      by_id[line.id] = (by_id[line.id] or 0) + 1
      if line.count then more[line.id] = line end
    end
    local id, line = next(more)
    assert.is_truthy(id)
    assert.equal(4, by_id[id])
    assert.equal(40, line.count)
    assert.matches("^37 more like these", line.message)
    g:stop()
  end)
end)

describe("a log that nobody can write", function()
  it("costs lines, which are counted, and no request", function()
    local g = gateway.start { SCRIPT, workers = 1,
      under = { "/bin/sh", "-c", 'exec "$@" >/dev/full', "sh" } }
    local client = g:connect()
    for _ = 1, 200 do
      client:send(gateway.head("GET", "/secrets"))
      assert.equal(200, client:response().status)
    end
    client:close()
    wait.for_("the lost lines to be counted", function()
      return (g:metric "weir_log_dropped_total") > 0
    end)
    -- Who follows them reads them all the same.
    local child = process.spawn { process.program "weir", "tail", "--admin", g.admin,
      "--count", "1" }
    wait.for_("a line to be followed", function()
      g:get "/secrets"
      return child:is_over()
    end)
    assert.equal(0, child:wait())
    g:stop()
  end)
end)
