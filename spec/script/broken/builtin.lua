--- A built-in that is replaced.
-- stage: load
-- says: cannot replace the built-in 'pairs'
pairs = nil -- HERE
