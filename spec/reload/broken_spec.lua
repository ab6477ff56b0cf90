local gateway = require "spec.support.gateway"
local json = require "cjson"
local tree = require "spec.lint.tree"

-- Bundles that do not load (spec/script/broken), each a module that the main script requires. Each
-- file says why it is broken, at which stage of the reload that is noticed, and what weir says; the
-- line that weir names is the one that says HERE.
local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.route("GET /", function() return "%s" end)
]]

local scripts = {}
for _, path in ipairs(tree.files "^spec/script/broken/.*%.lua$") do
  local text = tree.read(path)
  local script = {
    name = path:match "([%w_]+)%.lua$", text = text, reason = text:match "^%-%-%- ([^\n]+)\n",
    stage = text:match "\n%-%- stage: ([^\n]+)\n", says = text:match "\n%-%- says: ([^\n]+)\n",
  }
  for i, line in ipairs(tree.lines(text)) do if line:find "HERE" then script.line = i end end
  assert(script.reason and script.stage and script.says and script.line, path .. " lacks a field")
  scripts[#scripts + 1] = script
end

describe("a broken bundle", function()
  local g
  local count = 0

  setup(function()
    g = gateway.start { workers = 2, MAIN:format "0" }
    g:expect "reload"
  end)

  teardown(function() g:stop() end)

  for _, s in ipairs(scripts) do
    it("changes nothing and is told by file and line: " .. s.name .. ": " .. s.reason, function()
      local before = g:status()
      local verdict = g:reload {
        MAIN:format "broken" .. 'require "broken"', ["broken.lua"] = s.text,
      }
      local said = json.encode(verdict)
      assert.equal(422, verdict.status, said)
      assert.equal(s.stage, verdict.stage, said)
      assert.equal(g.folder .. "/broken.lua", verdict.file, said)
      assert.equal(s.line, verdict.line, said)
      assert.is_truthy(verdict.message:find(s.says, 1, true), said)
      local after = g:status()
      assert.equal(before.generation.number, after.generation.number)
      assert.same(before.listeners, after.listeners)
      assert.equal(tostring(count), g:get "/".body)
    end)
  end

  it("is one of twenty-four kinds at least, and the next good one loads", function()
    assert.is_true(#scripts >= 24)
    count = count + 1
    assert.equal("live", g:reload({ MAIN:format(tostring(count)) }).result)
    assert.equal(tostring(count), g:get "/".body)
    local pids = g:pids()
    assert.equal(2, #pids)
    assert.equal(0, (g:metric "weir_worker_restarts_total"))
  end)
end)
