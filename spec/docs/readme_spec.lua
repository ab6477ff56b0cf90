--- README.md's session, done: the policy it shows, served, asked, and reloaded with a mistake.
local docs = require "spec.support.docs"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local tree = require "spec.lint.tree"

local folder, gateway

local function write(text)
  local file = assert(io.open(folder .. "/shop.lua", "w"))
  file:write(text)
  file:close()
end

-- A session's lines after its commands, without what differs from day to day.
local function shown(text)
  local lines = {}
  for _, line in ipairs(tree.lines((text:gsub("\r", "")))) do
    local varies = line:match "^Date: " or line:match "^X%-Request%-ID: "
    if not varies and not line:match "^%$ " then lines[#lines + 1] = line end
  end
  return (table.concat(lines, "\n"):gsub("%s+$", ""))
end

describe("README.md", function()
  before_each(function() folder = docs.run("mktemp -d"):gsub("\n", "") end)

  after_each(function()
    if gateway then gateway:kill() end
    gateway = nil
    os.execute("rm -r " .. folder)
  end)

  it("shows what happens", function()
    local text = tree.read "README.md"
    local policy = docs.blocks(text, "lua")[1].text
    local sessions = docs.blocks(text, "console")
    local port = ports.free()
    policy = policy:gsub("8080", port):gsub("9100", ports.free())
    write(policy)
    local admin = folder .. "/admin.sock"
    local weir = docs.run("pwd"):gsub("\n", "/") .. process.program "weir"
    gateway = process.spawn { "/usr/bin/env", "-C", folder, weir, "run", "shop.lua",
      "--admin", admin, "--workers", "2", "--heartbeat", "10s" }
    gateway:line '"result":"live"'

    local url = ("http://127.0.0.1:%d/users/ada/recommendations"):format(port)
    local answer = docs.run("LD_PRELOAD= curl -si " .. url)
    assert.equal(shown(sessions[1].text), shown(answer))

    write(policy .. "oops(\n")
    local reload = "cd %s && LD_PRELOAD= %s reload --admin %s 2>&1 || true"
    local refused = docs.run(reload:format(folder, weir, admin))
    assert.equal(shown(sessions[2].text), shown(refused))
    assert.equal(shown(sessions[1].text), shown(docs.run("LD_PRELOAD= curl -si " .. url)))
    gateway:finish()
  end)
end)
