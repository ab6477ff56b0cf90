--- An error object that cannot say what it is.
-- stage: load
-- says: raised a table
error(setmetatable({}, { __tostring = error })) -- HERE
