--- Every example in the READMEs loads, and uses names that exist.
---
--- ```lua        a bundle of its own
--- ```lua top    top level: after the ones above it in the same file
--- ```lua handler   inside a route's function, with `req` and all that the top level declares
---
--- Certificates that they name in /etc/weir/ are made on the spot.
local certificates = require "spec.support.certificates"
local docs = require "spec.support.docs"
local tree = require "spec.lint.tree"

local FRAME = "local weir = require 'weir'\n"

-- The bundle that a block stands in. `above` is the text of the file's top-level blocks.
local function bundle_of(block, above)
  if block.kind == "" then return block.text end
  if block.kind == "top" then return FRAME .. above end
  return FRAME .. above .. "weir.route('GET /example', function(req)\n" .. block.text .. "end)\n"
end

local function check(text, folder)
  local path = docs.file((text:gsub("/etc/weir", folder or "%0")))
  local answer = docs.run(docs.program "weir" .. " check " .. path .. " 2>&1 || true")
  os.remove(path)
  return answer:find(": fine", 1, true) ~= nil, answer
end

-- Names of the library that a text uses and `api` does not have.
local function unknown_names(text, api)
  local list = {}
  for name in text:gmatch "%f[%w_]weir%.([%a_]+)" do
    if not api.weir[name] then list[#list + 1] = "weir." .. name end
  end
  for module, name in text:gmatch "%f[%w_]weir%.(%a+)%.([%a_]+)" do
    local members = api["weir." .. module]
    if not (members and members[name]) then
      list[#list + 1] = ("weir.%s.%s"):format(module, name)
    end
  end
  return list
end

describe("examples", function()
  local api, folder

  setup(function()
    api = docs.api()
    folder = certificates.new()
    for _, name in ipairs { "shop", "staff", "staff-ca" } do folder:make(name, {}) end
  end)

  teardown(function() folder:remove() end)

  for _, path in ipairs(docs.files) do
    it("of " .. path .. " load", function()
      local above = ""
      local top = {}
      local blocks = docs.blocks(tree.read(path), "lua")
      for _, block in ipairs(blocks) do
        if block.kind == "top" then top[#top + 1] = block.text end
      end
      for _, block in ipairs(blocks) do
        local place = ("%s:%d"):format(path, block.line)
        if block.kind == "top" then above = above .. block.text end
        local whole = block.kind == "handler" and table.concat(top) or above
        local ok, answer = check(bundle_of(block, whole), folder.path)
        assert.is_true(ok, place .. ": " .. answer)
        assert.same({}, unknown_names(block.text:gsub('require "weir[%w_.]*"', ""), api), place)
      end
    end)
  end

  it("are judged", function()
    assert.is_true((check "local weir = require 'weir'\nweir.retry(2)\n"))
    assert.is_false((check "local weir = require 'weir'\nweir.retry { max_atempts = 2 }\n"))
    assert.is_false((check "local weir =\n"))
    assert.same({ "weir.lissen", "weir.json.encod" },
      unknown_names("weir.lissen '8080' weir.json.encod(1) weir.json(200, 1)", api))
    local blocks = docs.blocks("x\n```lua top\na = 1\n```\n```sh\nls\n```\n", "lua")
    assert.same({ "top", "a = 1\n", 2 }, { blocks[1].kind, blocks[1].text, blocks[1].line })
    assert.equal(1, #blocks)
  end)
end)
