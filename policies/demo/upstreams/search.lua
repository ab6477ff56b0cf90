--- The search engine: matches, suggestions and facets. The catalogue has a poor man's search too.
local weir = require "weir"
local goods = require "upstreams.goods"
local service = require "upstreams.service"

local route = service.new "search"

route("GET /search/full", function(req)
  local query = req.query.q or ""
  local items = goods.named(query)
  return weir.json(200, {
    query = query,
    items = weir.json.array(items),
    suggestions = goods.some(#query + 1, 2),
    facets = { in_stock = #items },
  })
end)
