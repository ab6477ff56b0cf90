--- A million calls of a replacement function.
-- ends: script_burst
return function(req)
  return (("x"):rep(1e6):gsub(".", function() return "y" end))
end
