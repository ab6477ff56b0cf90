--- A function that is not there.
-- stage: load
-- says: attempt to call global 'wier'
wier("GET /x") -- HERE
