--- What `weir check` warns of: all rules, in the order in which they speak.
local M = {} ---@type weir.Rule[]

for _, name in ipairs { "rules_time", "rules_layers", "rules_order" } do
  for _, rule in ipairs(require("weir.core." .. name)) do M[#M + 1] = rule end
end

return M
