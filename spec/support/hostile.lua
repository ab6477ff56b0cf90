--- The scripts of spec/script/hostile, and a bundle that serves them beside others.
---
--- Each file says why it is hostile in its first line, and how it ends:
---
---     -- ends: ALTERNATIVE, …   a limit of limits.def; "raises WORDS", an error of its own with
---                               these words in its message; "answers", with 200
local tree = require "spec.lint.tree"

local hostile = {}

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.route("GET /", function() return "small" end)
  weir.route("GET /small", function() return "small" end)
  local held = weir.policy("held", { weir.bulkhead { max = 4, queue = 0 }, weir.breaker {} })
  local function serve(name)
    local given = require("hostile_" .. name)
    local handler, options = given, {}
    if type(given) == "table" then handler, options = given[1], given[2] end
    options.deadline = "60s"
    weir.route("GET /" .. name, options, function(req)
      return held(function() return handler(req) end)
    end)
  end
]]

--- All of them: `{ name, text, reason, ends }`.
function hostile.scripts()
  local scripts = {}
  for _, path in ipairs(tree.files "^spec/script/hostile/.*%.lua$") do
    local text = tree.read(path)
    local script = {
      name = path:match "([%w_]+)%.lua$", text = text,
      reason = text:match "^%-%-%- ([^\n]+)\n", ends = {},
    }
    assert(script.reason, path .. " gives no reason in its first line")
    local ends = assert(text:match "\n%-%- ends: ([^\n]+)\n", path .. " does not say how it ends")
    for word in (ends .. ", "):gmatch "(.-), " do script.ends[#script.ends + 1] = word end
    scripts[#scripts + 1] = script
  end
  return scripts
end

--- Adds to the options of a gateway what serves each at its name, and others at / and /small.
function hostile.bundle(scripts, options)
  local main = { MAIN }
  for _, s in ipairs(scripts) do
    options["hostile_" .. s.name .. ".lua"] = s.text
    main[#main + 1] = ("serve %q"):format(s.name)
  end
  options[1] = table.concat(main, "\n")
  return options
end

return hostile
