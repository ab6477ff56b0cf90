--- A module outside of the bundle.
-- stage: load
-- says: is not a module name
local passwords = require "../../etc/passwd" -- HERE
return passwords
