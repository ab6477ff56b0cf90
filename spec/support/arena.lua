--- An arena of a spec's own: `local arena = require("spec.support.arena")(c, ffi, { entries_max
--- = 4 })`.
---
--- Unmapped by `c.wr_arena_fini(arena)`; small unless the options say otherwise.
return function(c, ffi, options)
  local o = ffi.new("struct wr_arena_options", {
    worker_count = 3, ledger_rows = 256, series_max = 128, cache_bytes = 1024 * 1024,
    entries_max = 32, seed = 7,
  })
  for key, value in pairs(options or {}) do o[key] = value end
  local arena = ffi.new("struct wr_arena")
  local err = ffi.new("struct wr_error")
  if not c.wr_arena_open(arena, o, err) then return nil, ffi.string(err.message) end
  return arena
end
