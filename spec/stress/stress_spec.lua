-- The stress programs, briefly. By hand they take larger counts and a seed
-- (spec/native/*_stress.c).
local preset = os.getenv("WEIR_PRESET") or "dev"

local function run(program, count)
  -- The programs bring their own sanitizer; one preloaded for the specs is not theirs.
  local command = "LD_PRELOAD= timeout -k 5 120 build/%s/%s %d 2>&1"
  local pipe = assert(io.popen(command:format(preset, program, count)))
  local said = pipe:read("*a")
  pipe:close()
  return said
end

describe("the shared arena", function()
  it("loses and doubles nothing under eight threads", function()
    local said = run("threads_stress", 1000000)
    assert.matches("\nok\n$", said)
  end)

  it("loses nothing when processes are killed at random instructions", function()
    local said = run("kill_stress", 1000)
    assert.matches("\nok: 1000 kills", said)
  end)
end)
