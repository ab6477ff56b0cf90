-- What the shared cache keeps, on traces: the figures of runtime/arena/README.md.
local preset = os.getenv("WEIR_PRESET") or "dev"

describe("the cache's eviction", function()
  local ratios = {}
  setup(function()
    local pipe = assert(io.popen(("LD_PRELOAD= timeout -k 5 120 build/%s/cache_traces 300000")
      :format(preset)))
    for line in pipe:lines() do
      local name, weir, lru, sieve, oracle = line:match "^(%S+) +(%S+) +(%S+) +(%S+) +(%S+)$"
      ratios[name] = { weir = tonumber(weir), lru = tonumber(lru), sieve = tonumber(sieve),
        oracle = tonumber(oracle) }
    end
    pipe:close()
  end)

  -- At least so much above LRU, and so much of what can be had at all.
  for _, case in ipairs {
    { "zipf-0.8", 0.05, 0.75 }, { "zipf-1.0", 0.02, 0.9 }, { "zipf-scan", 0.05, 0.8 },
    { "loop", 0.5, 0.8 }, { "mixed-sizes", 0.07, 0.8 },
    -- Frequencies learn later than recency: what that costs stays bounded.
    { "shifting", -0.07, 0.8 },
  } do
    local name, above_lru, of_oracle = unpack(case)
    it("does well on " .. name, function()
      local r = ratios[name]
      assert.is_true(r.weir >= r.lru + above_lru, ("%g, LRU %g"):format(r.weir, r.lru))
      assert.is_true(r.weir >= r.oracle * of_oracle, ("%g, oracle %g"):format(r.weir, r.oracle))
      assert.is_true(r.weir <= r.oracle or name == "mixed-sizes")
    end)
  end
end)
