--- Where the shop's upstreams are. In the demo one process plays all of them, each under its own
--- path; in a real shop each has endpoints of its own.
local weir = require "weir"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"

--- The upstream `name`, at <base>/<name>.
return function(name)
  return weir.upstream(name, { endpoints = { base .. "/" .. name }, connect = "200ms" })
end
