local vm = require "spec.support.vm"

local MIB = 2 ^ 20

-- The frames of one hostile policy, with the question whether the state still works at the end.
local function frames_of(row)
  -- the others end by themselves, on a slow machine too
  local is_endless = row.error == "script_load_time"
  local frames = { { "limit", "soft_bytes", tostring(8 * MIB) }, { "limit", "string_bytes",
    tostring(MIB) },
    { "limit", "load_ms", is_endless and "30" or "20000" } }
  for name, text in pairs(row.modules or {}) do frames[#frames + 1] = { "module", name, text } end
  if row.call then
    local text = ("%s\nreturn function() %s end"):format(row.declare or "", row.call)
    frames[#frames + 1] = { "load", "policies/evil.lua", text }
    frames[#frames + 1] = { "freeze" }
    frames[#frames + 1] = { "call" }
  else
    frames[#frames + 1] = { "load", "policies/evil.lua", row.code }
  end
  frames[#frames + 1] = { "load", "policies/after.lua", [[
    local s = require "weir.schema"
    assert(("abc"):gsub("b", string.upper) == "aBc" and #("x"):rep(10) == 10 and s.new)
    assert(pcall(function() end) and table.concat({ 1, 2 }) == "12")
    return "usable"]] }
  frames[#frames + 1] = { "reset" }
  return frames
end

local function judge(row, answer)
  local why = ("%s: got %s"):format(row[1], answer.ok and tostring(answer.value) or answer.message)
  if row.error then
    assert.is_false(answer.ok, why)
    assert.matches(row.error, answer.message, why)
  elseif row.printed then
    assert.equal(row.printed, answer.printed)
  elseif row.any == nil then
    assert.is_true(answer.ok, why)
    assert.equal(row.value, answer.value, why)
  end
  if row.call and row.error then assert.equal("policies/evil.lua", answer.file, why) end
end

describe("the sandbox", function()
  for _, file in ipairs { "language", "exhaustion" } do
    for _, row in ipairs(dofile("spec/script/escapes/" .. file .. ".lua")) do
      it("withstands " .. file .. ": " .. row[1], function()
        local answers = vm(frames_of(row))
        local last = row.call and answers[2] or answers[1]
        judge(row, last)
        local after = answers[#answers - 2]
        assert.equal("usable", after.value, after.message)
        assert.equal(0, answers[#answers - 1].used, "memory left after the end")
      end)
    end
  end

  it("is held against at least sixty hostile policies", function()
    local n = 0
    for _, file in ipairs { "language", "exhaustion" } do
      n = n + #dofile("spec/script/escapes/" .. file .. ".lua")
    end
    assert.is_true(n >= 60)
  end)
end)
