--- A module that is not there.
-- stage: load
-- says: no.such.module
local x = 1
return require "no.such.module", x -- HERE
