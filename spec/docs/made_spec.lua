--- What the READMEs show of the code is what the code says.
local docs = require "spec.support.docs"
local tree = require "spec.lint.tree"

local SMALL = { ["options sleep"] = 1, ["options chaos apply"] = 1,
  ["options metric"] = 1, ["options proxy_protocol"] = 1, ["options cache set"] = 1,
  ["options limiter:wait"] = 1, ["options limiter:drain"] = 1 }

describe("the READMEs", function()
  local made

  setup(function() made = docs.made() end)

  it("show what the code says: run scripts/docs", function()
    local used = {}
    for _, path in ipairs(docs.files) do
      local text = tree.read(path)
      local renewed, names, unknown = docs.renew(text, made)
      assert.same({}, unknown, path)
      assert.is_true(renewed == text, path .. " is out of date: run scripts/docs")
      for name in pairs(names) do used[name] = true end
    end
    -- Tables of one word each are explained in place.
    for name in pairs(made) do
      assert.is_truthy(used[name] or SMALL[name], name .. " is shown nowhere")
    end
  end)

  it("differ when the code changes", function()
    local text = tree.read "lua/README.md"
    local other = {}
    for name, part in pairs(made) do other[name] = part end
    other["options retry"] = other["options retry"]:gsub("100", "101")
    assert.is_false(docs.renew(text, other) == text)
    other["options retry"], other["options route"] = made["options retry"], nil
    local _, _, unknown = docs.renew(text, other)
    assert.same({ "options route" }, unknown)
  end)

  it("lead to files that exist", function()
    local wrong, count = {}, 0
    for _, path in ipairs(tree.files "%.md$") do
      local folder = path:match "^(.*/)" or ""
      local text = tree.read(path):gsub("\n```.-\n```", "")
      -- The notes that the design rests on are kept beside the repository.
      text = text:gsub("`research/[%w_]+%.md`", "")
      local function expect(target, ...)
        count = count + 1
        for _, base in ipairs { ... } do
          local file = io.open(base .. target)
          if file then return file:close() end
        end
        wrong[#wrong + 1] = path .. ": " .. target
      end
      for target in text:gmatch "%]%(([^)#:]+)%)" do expect(target, folder) end
      -- A path of ours in backquotes, from the top or from the README's folder.
      for target in text:gmatch "`([%w_/]+/[%w_.-]+%.[%a]+)`" do expect(target, "", folder,
        "runtime/", "spec/") end
    end
    assert.is_true(count > 30, count)
    assert.same({}, wrong)
  end)

  it("name the sandbox's functions truly", function()
    local text = tree.read "lua/README.md"
    local has = text:match "<!%-%- sandbox: has %-%->(.-)<!%-%-"
    local has_not = text:match "<!%-%- sandbox: has not %-%->(.-)<!%-%-"
    local script = { "local wrong = {}\n" }
    local function expect(list, wrong, word)
      local line = "if %s %s nil then wrong[#wrong + 1] = '%s %s' end\n"
      for name in list:gmatch "`([%w_.]+)`" do
        script[#script + 1] = line:format(name, wrong, word, name)
      end
    end
    expect(has, "==", "no")
    expect(has_not, "~=", "has")
    assert.is_true(#script > 40)
    script[#script + 1] = "if #wrong > 0 then error(table.concat(wrong, ', '), 0) end\n"
    local path = docs.file(table.concat(script))
    local answer = docs.run(docs.program "weir" .. " check " .. path .. " 2>&1 || true")
    os.remove(path)
    assert.is_truthy(answer:find("fine", 1, true), answer)
  end)
end)
