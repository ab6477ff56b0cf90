-- Payments are booked by the provider, or kept for an hour and looked at by GET.
local weir = require "weir"
local payment = require "weir.policies.payment"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local provider = weir.upstream("payments", { endpoints = { base } })
local kept = weir.cache("kept", { ttl = "1h" })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("POST /payments/book", payment.handle {
  name = "payments", upstream = provider, deadline = "1s", timeout = "300ms",
  accept = function(req)
    local key, body = req.headers["Idempotency-Key"], req:text()
    if not body then return nil end
    kept:set(key, body)
    return weir.json(202, { state = "accepted" }, { Location = "/kept/" .. weir.escape(key) })
  end,
})

-- The same without anything to fall back on: the client is told what is known.
weir.route("POST /strict/book", payment.handle {
  name = "strict", deadline = "1s", timeout = "300ms",
  call = function(req) return provider:forward(req, { path = "/payments/book" }) end,
})

weir.route("GET /kept/:key", function(req)
  return kept:get(req.params.key) or weir.json(404, { error = "not kept" })
end)
