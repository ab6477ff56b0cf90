-- The stress programs, briefly: all kinds at once, then each alone. `scripts/stress --long` is the
-- same with larger counts (spec/native/*_stress.c).
local preset = os.getenv "WEIR_PRESET" or "dev"

-- The arena is no memory of the sanitizer's: a quarter of the deaths show what it could see.
local share = preset == "asan" and 4 or 1

local function run(build, program, ...)
  -- The programs bring their own sanitizer; one preloaded for the specs is not theirs.
  local command = "LD_PRELOAD= timeout -k 5 120 build/%s/%s %s 2>&1"
  local pipe = assert(io.popen(command:format(build, program, table.concat({ ... }, " "))))
  local said = pipe:read "*a"
  pipe:close()
  return said
end

describe("the shared arena", function()
  it("loses and doubles nothing under eight threads", function()
    local said = run(preset, "threads_stress", 1000000)
    assert.matches("\nok\n$", said)
  end)

  it("loses nothing when processes are killed at random instructions", function()
    local kills = 1000 / share
    local said = run(preset, "kill_stress", kills)
    assert.matches(("\nok: %d kills"):format(kills), said)
  end)
end)

describe("a primitive tried alone", function()
  local kinds = run(preset, "threads_stress", 0, 0, "list")

  it("is each that has a state of its own", function()
    local tried = {}
    for kind in kinds:gmatch "%S+" do tried[kind] = true end
    local file = assert(io.open "runtime/tables/kinds.def")
    for name in file:read("*a"):gmatch 'WR_KIND%(%u+, "([^"]+)"' do
      assert(tried[name], name .. ": add a row to spec/native/stress_kinds.h")
    end
    file:close()
  end)

  for kind in kinds:gmatch "%S+" do
    it("keeps its invariants under threads and kills: " .. kind, function()
      assert.matches("\nok\n$", run(preset, "threads_stress", 100000, os.time(), kind))
      local kills = math.ceil(50 / share)
      local said = run(preset, "kill_stress", kills, os.time(), kind)
      assert.matches(("\nok: %d kills"):format(kills), said)
    end)
  end
end)
