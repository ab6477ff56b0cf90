--- What the shop depends on, and what goes wrong with it: six services in one bundle, each of which
--- can be broken while it runs.
---
---     curl -X POST 127.0.0.1:9100/recommendations/mode -d down
---     curl 127.0.0.1:9100/modes        # modes: ok slow errors flaky hang down
---
--- Run it beside shop.lua: `weir run policies/demo/upstreams.lua`; UPSTREAMS_LISTEN says where.
local weir = require "weir"

weir.listen(weir.env "UPSTREAMS_LISTEN" or "127.0.0.1:9100")

require "upstreams.recommendations"
require "upstreams.search"
require "upstreams.catalogue" -- products and prices: two services
require "upstreams.photos"
require "upstreams.payments"
require "upstreams.switch" -- after the services, which it lists
