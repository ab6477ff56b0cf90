local gateway = require "spec.support.gateway"
local wait = require "spec.support.wait"

local function bundle(said)
  return ([[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    weir.route("GET /said", function() return %q end)
  ]]):format(said)
end

describe("a watched bundle", function()
  local g

  before_each(function()
    g = gateway.start { watch = true, bundle "first" }
    g:expect "reload"
  end)

  after_each(function() g:stop() end)

  local function says(text)
    wait.for_("the new script to answer", function()
      local body = g:get "/said".body
      return body == text, body
    end)
  end

  local function reloads()
    local counts = g:status().reloads
    return counts.live + counts.failed
  end

  it("is loaded again when a file of it changes, by a rename over it or in place", function()
    g:write { bundle "second" } -- renames
    says "second"
    local file = assert(io.open(g.path, "w"))
    file:write((bundle "third":gsub("%$%(port%)", tostring(g.port))))
    file:close()
    says "third"
  end)

  local function children()
    local file = assert(io.open(("/proc/%d/task/%d/children"):format(g.process.pid, g.process.pid)))
    local _, count = file:read "*a":gsub("%d+", "")
    file:close()
    return count
  end

  it("is loaded again for what is saved while the last save is being taken up", function()
    g:write { "for _ = 1, 3e6 do end" .. bundle "second" } -- some time passes in its trial
    wait.for_("the trial", function() return children() > 2 or reloads() > 1 end)
    g:write { bundle "third" }
    says "third"
  end)

  it("is loaded again when the mistake was in a folder that it did not have before", function()
    assert.equal(0, os.execute("mkdir " .. g.folder .. "/new"))
    g:write { "require 'new.part'\n" .. bundle "second", ["new/part.lua"] = "local x = {" }
    wait.for_("the refusal", function() return g:status().reloads.failed >= 1 end)
    assert.equal("first", g:get "/said".body)
    g:write { ["new/part.lua"] = "return {}" }
    says "second"
  end)

  it("stays as it is when what was saved does not load, until it does again", function()
    g:write { "local x = {" }
    wait.for_("the refusal", function() return g:status().reloads.failed == 1 end)
    assert.equal("first", g:get "/said".body)
    g:write { bundle "mended" }
    says "mended"
  end)

  it("does not care for other files beside it", function()
    local file = assert(io.open(g.folder .. "/weir.log", "w"))
    for i = 1, 100 do file:write("line ", i, "\n"); file:flush() end
    file:close()
    g:write { bundle "second" }
    says "second"
    -- One worker may answer before the last one is live, and only then it is counted.
    wait.for_("the reload to be counted", function() return reloads() > 1 end)
    assert.equal(2, reloads())
  end)
end)
