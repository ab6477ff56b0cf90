--- Recommendations for one user: four goods, always the same four for the same user.
local weir = require "weir"
local goods = require "upstreams.goods"
local service = require "upstreams.service"

local route = service.new "recommendations"

local function number_of(user)
  local sum = 0
  for i = 1, #user do sum = sum + user:byte(i) * i end
  return sum
end

route("GET /recommendations/users/:id", function(req)
  local user = req.params.id
  return weir.json(200, { user = user, items = goods.some(number_of(user) % #goods + 1, 4) })
end)
