--- A small shop whose every dependency may fail while the shop goes on: the demo of weir.
---
---     scripts/run          starts it with its unreliable upstreams and shows what happens
---
--- Each module below is one idea and can be read by itself; README.md one folder up is the
--- catalogue. SHOP_LISTEN is where the shop listens, SHOP_UPSTREAMS where its upstreams are.
local weir = require "weir"

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

require "recommendations" -- personal -> cached -> popular
require "search" -- full -> simple -> recent
require "product" -- fresh price -> stale price -> no price
require "avatar" -- photo -> initials
require "payments" -- confirmed now -> accepted, confirmed later
require "home" -- all of it on one page
