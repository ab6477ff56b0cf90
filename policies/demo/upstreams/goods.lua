--- What the shop sells: the data behind catalogue, prices, search and recommendations.
local names = {
  "Lantern", "Kettle", "Hammock", "Compass", "Blanket", "Notebook", "Backpack", "Thermos",
  "Umbrella", "Headlamp", "Trowel", "Whistle", "Tarp", "Stove", "Mug", "Rope",
}

local M = {}

for i, name in ipairs(names) do
  M[i] = { id = i, name = name, cents = 700 + i * 137 }
end

--- Up to `count` goods, beginning at number `from` and going round.
function M.some(from, count)
  local list = {}
  for i = 1, math.min(count, #M) do
    local one = M[(from + i - 2) % #M + 1]
    list[i] = { id = one.id, name = one.name }
  end
  return list
end

--- Goods whose name contains `text`.
function M.named(text)
  local list = {}
  for _, one in ipairs(M) do
    if one.name:lower():find(text:lower(), 1, true) then
      list[#list + 1] = { id = one.id, name = one.name }
    end
  end
  return list
end

return M
