--- Photos of users; being a demo, drawn ones.
local weir = require "weir"
local service = require "upstreams.service"

local route = service.new "photos"

local FACE = [[
<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96" viewBox="0 0 96 96">
<rect width="96" height="96" fill="#dfe7ee"/><circle cx="48" cy="38" r="18" fill="#c99b76"/>
<path d="M14 96c0-26 15-36 34-36s34 10 34 36z" fill="#3f5a73"/></svg>
]]

route("GET /photos/:id", function()
  return weir.response(200, FACE, { ["Content-Type"] = "image/svg+xml" })
end)
