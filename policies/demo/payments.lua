--- Payments: confirmed now -> accepted now and confirmed later.
---
--- Protects against  losing a sale because the payment provider is slow or away for minutes.
--- The client sees   201 and the booking when the provider answers in time. Otherwise 202,
---                   `X-Degraded: accepted`, an id and a Location, where GET tells the state:
---                   accepted, confirmed or declined. Never a double booking: the id goes with
---                   every attempt as the Idempotency-Key, and the provider books a key once.
---
--- An accepted payment is kept in shared memory: it outlives reloads and workers, not weir itself.
local weir = require "weir"
local provider = require "depend" "payments"

local payments = weir.cache("payments", { ttl = "24h", stale = "0s" })

-- The client waits for this one: one try, and no longer than a person is patient.
local at_once = weir.policy("payments", {
  weir.deadline "500ms",
  weir.breaker { failure_rate = 0.5, window = "10s", min_calls = 5, open = "1s", open_max = "5s" },
  weir.bulkhead { max = 16, queue = 16, wait = "50ms" },
  weir.timeout "400ms",
})

-- Nobody waits for this one, so it may take its time, but only a few at once: when the provider
-- comes back it is not met by a crowd.
local later = weir.policy("payments-later", {
  weir.deadline "5s",
  weir.bulkhead { max = 4, queue = 1024, wait = "4s" },
  weir.timeout "1s",
})

local PAUSE_MAX, TRIES_MAX, TAKEN_OVER_AFTER = 5, 100, 30

local function book(id, payment)
  return provider:request {
    method = "POST", path = "/book",
    headers = { ["Content-Type"] = "application/json", ["Idempotency-Key"] = id },
    body = weir.json.encode { amount_cents = payment.amount_cents },
  }
end

local function store(id, payment, state, detail)
  return payments:set(id, {
    id = id, amount_cents = payment.amount_cents, state = state, detail = detail,
    tried_at = weir.time(), tries = (payment.tries or 0) + 1,
  })
end

-- What the provider's answer makes of the payment; nil when it was no answer yet.
local function settle(id, payment, res)
  if not res or res.status >= 500 or res.status == 429 then return nil end
  if res.status >= 400 then return store(id, payment, "declined") end
  local booking = res:json()
  return store(id, payment, "confirmed", booking and booking.booking)
end

-- Until the provider says yes or no: pauses double up to PAUSE_MAX seconds.
local function confirm(id, payment)
  local pause = 0.25
  for _ = 1, TRIES_MAX do
    payment = payments:get(id) or payment -- evicted or not, what was accepted is still owed
    if payment.state ~= "accepted" then return end
    local res, err = later(function() return book(id, payment) end)
    local settled = settle(id, payment, res)
    if settled then
      local fields = { payment = id, state = settled.state, tries = settled.tries }
      return weir.log.info("payment settled", fields)
    end
    payment = store(id, payment, "accepted")
    weir.sleep(math.max(pause, err and err.after or 0) * (0.5 + math.random()))
    pause = math.min(pause * 2, PAUSE_MAX)
  end
end

local function accept(id, payment)
  local stored = store(id, payment, "accepted")
  local started, err = weir.spawn(function() confirm(id, stored) end)
  if not started then return nil, err end
  return weir.json(202, stored, { Location = "/payments/" .. id })
end

local function new_id()
  return ("%08x%08x"):format(math.random(0, 2 ^ 31 - 1), math.random(0, 2 ^ 31 - 1))
end

weir.route("POST /payments", { body_max = "4KiB" }, function(req)
  local payment, err = req:json()
  if not payment then return nil, err end
  local cents = type(payment) == "table" and payment.amount_cents
  if type(cents) ~= "number" or cents < 1 or cents % 1 ~= 0 then
    return weir.json(400, { error = "amount_cents must be a whole number of cents above 0" })
  end
  local id, asked = new_id(), { amount_cents = cents }
  return weir.ladder {
    name = "payment",
    { "confirmed", function()
      local res, why = at_once(function() return book(id, asked) end)
      local settled = settle(id, asked, res)
      if not settled then return nil, why end
      return weir.json(settled.state == "confirmed" and 201 or 402, settled)
    end },
    { "accepted", function() return accept(id, asked) end },
  }
end)

-- Whoever asks for a payment that nobody has tried to confirm for a while (its worker died, or its
-- generation was retired) has it taken over. Two may try at once: the provider books a key once.
weir.route("GET /payments/:id", function(req)
  local payment = payments:get(req.params.id)
  if not payment then return weir.json(404, { error = "no such payment" }) end
  if payment.state == "accepted" and weir.time() - payment.tried_at > TAKEN_OVER_AFTER then
    store(payment.id, payment, "accepted")
    weir.spawn(function() confirm(payment.id, payment) end)
  end
  return weir.json(200, payment)
end)
