--- An error message of eight megabytes, with bytes that command terminals.
-- ends: raises .
return function(req)
  error(("\27[2J"):rep(1e6))
end
