--- The payment provider. It books each key once however often it is asked, as real ones do: that is
--- what makes asking again safe. POST /payments/book {amount_cents}, Idempotency-Key required.
local weir = require "weir"
local service = require "upstreams.service"

local bookings = weir.cache("bookings", { ttl = "1h" })

local route = service.new "payments"

route("POST /payments/book", function(req)
  local key = req.headers:get "Idempotency-Key"
  if not key then return weir.json(400, { error = "Idempotency-Key is missing" }) end
  local order, err = req:json()
  if not order then return nil, err end
  local booking = bookings:get(key)
  if booking then return weir.json(200, booking) end
  booking = { booking = "B-" .. key:sub(1, 8), amount_cents = order.amount_cents }
  if order.amount_cents > 100000 then
    return weir.json(402, { error = "declined: more than 1000.00" })
  end
  bookings:set(key, booking)
  return weir.json(201, booking)
end)
