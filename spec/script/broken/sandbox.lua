--- Something that policies do not have.
-- stage: load
-- says: attempt to index global 'io'
io.open "/etc/passwd" -- HERE
