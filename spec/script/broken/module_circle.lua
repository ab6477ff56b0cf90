--- A module that requires itself.
-- stage: load
-- says: circular require
local self = require "broken" -- HERE
return self
