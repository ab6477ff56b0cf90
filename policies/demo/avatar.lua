--- Profile images: photo -> initials.
---
--- Protects against  the photo service being slow or gone. A page full of images makes many calls
---                   at once, so the bulkhead is small: what does not fit gets initials at once.
--- The client sees   200 and an image. `X-Degraded: initials`: a coloured circle with the user's
---                   initials.
local weir = require "weir"
local photos = require "depend" "photos"

local COLOURS = { "#8e3b46", "#3b6e8e", "#4f7a3a", "#7a5c3a", "#5b3a7a", "#2f6f66" }

local CIRCLE = [[
<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96" viewBox="0 0 96 96">
<circle cx="48" cy="48" r="48" fill="%s"/>
<text x="48" y="62" font-family="sans-serif" font-size="40"
 text-anchor="middle" fill="#fff">%s</text></svg>
]]

local guarded = weir.policy("photos", {
  weir.deadline "300ms",
  weir.breaker { failure_rate = 0.5, window = "5s", min_calls = 10, open = "2s" },
  weir.bulkhead { max = 8, queue = 8, wait = "20ms" },
  weir.timeout "250ms",
})

-- "ada.lovelace" -> "AL". Letters and digits only, so nothing of the name can become markup.
local function initials(user)
  local text = ""
  for word in user:gmatch "%w+" do
    if #text < 2 then text = text .. word:sub(1, 1):upper() end
  end
  return text ~= "" and text or "?"
end

-- The same colour for the same user, in every worker and for ever.
local function colour(user)
  local sum = 0
  for i = 1, #user do sum = sum + user:byte(i) end
  return COLOURS[sum % #COLOURS + 1]
end

local function drawn(user)
  return weir.response(200, CIRCLE:format(colour(user), initials(user)), {
    ["Content-Type"] = "image/svg+xml",
    ["Cache-Control"] = "no-store", -- the photo should come back as soon as it can
  })
end

weir.route("GET /users/:id/avatar", function(req)
  local user = req.params.id
  return weir.ladder {
    name = "avatar",
    { "photo", function()
      return guarded(function() return photos:forward(req, { path = "/" .. weir.escape(user) }) end)
    end },
    { "initials", function() return drawn(user) end },
  }
end)
