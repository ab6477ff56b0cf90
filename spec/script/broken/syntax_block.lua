--- A function that does not end.
-- stage: load
-- says: 'end' expected
local function f()
  return 1

-- The file is over. HERE