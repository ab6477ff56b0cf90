-- Every primitive under ThreadSanitizer, whatever build the other specs are run with.
describe("the shared arena", function()
  it("has no data race", function()
    assert.equal(0, os.execute "LD_PRELOAD= scripts/build tsan threads_stress >/dev/null")
    local command = "LD_PRELOAD= timeout -k 5 120 build/tsan/threads_stress 200000 2>&1"
    local pipe = assert(io.popen(command))
    local said = pipe:read "*a"
    pipe:close()
    assert.matches("\nok\n$", said)
  end)
end)
