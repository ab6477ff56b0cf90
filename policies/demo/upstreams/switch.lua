--- The switches: POST /<service>/mode with the mode as the body, GET /modes for all of them.
local weir = require "weir"
local service = require "upstreams.service"

local function known_modes()
  local words = {}
  for word in pairs(service.behaviours) do words[#words + 1] = word end
  table.sort(words)
  return table.concat(words, ", ")
end

for _, name in ipairs(service.names) do
  weir.route("POST /" .. name .. "/mode", { body_max = "1KiB" }, function(req)
    local body, err = req:text()
    if not body then return nil, err end
    local mode = body:match "^%s*(%a+)%s*$"
    if not service.behaviours[mode] then
      return weir.json(400, { error = "the body must be one of: " .. known_modes() })
    end
    service.set_mode(name, mode)
    return weir.json(200, { [name] = mode })
  end)
end

weir.route("GET /modes", function()
  local modes = {}
  for _, name in ipairs(service.names) do modes[name] = service.mode(name) end
  return weir.json(200, modes)
end)
