--- Every verb of the table, whatever there is: its help, its JSON, what completes it in three
--- shells, and its manual page. A new verb needs no line here, unless it prints data and takes more
--- than its name to do so.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:9" } })
  weir.health("ping", { check = function() return true end, interval = "1h" })
  weir.flag("new_ui", { default = false })
  weir.cache("pages", { ttl = "1m" })
  weir.every("1h", { singleton = true, name = "prune" }, function() end)
  local drill = weir.chaos { name = "drill", expires = "1m", probability = 0.5, status = 500 }
  local guarded = weir.policy("two words", { weir.shedder { limit = 4 }, weir.retry(1),
    weir.hedge { delay = "1h" }, weir.breaker {}, weir.throttle {},
    weir.limiter { rate = "10/s" }, weir.bulkhead { max = 4 }, drill })
  weir.route("GET /x", function(req) return guarded(function() return up:forward(req) end) end)
]]

local children = {}

-- Runs a program; returns code, stdout, stderr.
local function run(command)
  local child = process.spawn(command)
  children[#children + 1] = child
  local code = child:wait(60)
  return code, child:stdout(), child:stderr()
end

local function weir(...)
  return run { process.program "weir", ... }
end

local function verbs()
  local code, out = weir("help", "--json")
  assert.equal(0, code)
  return json.decode(out)
end

local function has_option(verb, name)
  for _, option in ipairs(verb.options) do
    if option.name == name then return true end
  end
  return false
end

describe("every verb", function()
  local g, folder

  setup(function()
    g = gateway.start { SCRIPT, workers = 1 }
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder) == 0)
  end)
  teardown(function()
    for _, child in ipairs(children) do child:kill() end
    os.execute("rm -r " .. folder)
    g:stop()
  end)

  local function write(name, text)
    local path = folder .. "/" .. name
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    return path
  end

  it("is explained on one screen of 80 columns", function()
    for _, verb in ipairs(verbs()) do
      local code, out, err = weir(verb.name, "--help")
      assert.equal(0, code, verb.name)
      assert.equal("", err)
      assert.equal(1, (out:find("usage: weir " .. verb.name, 1, true)))
      local _, lines = out:gsub("\n", "")
      assert.is_true(lines <= 24, verb.name)
      for line in out:gmatch "[^\n]+" do assert.is_true(#line <= 80, line) end
      for _, list in ipairs { verb.options, verb.actions } do
        for _, row in ipairs(list) do
          assert.is_truthy(out:find(row.name, 1, true), verb.name .. " " .. row.name)
          assert.is_truthy(out:find(row.help, 1, true), verb.name .. " " .. row.name)
        end
      end
    end
    local _, all = weir "help"
    for line in all:gmatch "[^\n]+" do assert.is_true(#line <= 80, line) end
  end)

  it("that is one of a kind lists what there is, shows one, and takes no other word", function()
    local kinds = 0
    for _, verb in ipairs(verbs()) do
      if verb.is_kind then
        kinds = kinds + 1
        local code, out, err = weir(verb.name, "ls", "--json", "--admin", g.admin)
        assert.equal(0, code, verb.name .. err)
        local list = json.decode(out)
        assert.is_true(#list >= 1, verb.name .. ": declare one in this spec's script")
        local _, names = weir(verb.name, "ls", "--names", "--admin", g.admin)
        assert.equal(list[1].name, names:match "^[^\n]*")
        code, out = weir(verb.name, "show", list[1].name, "--json", "--admin", g.admin)
        assert.equal(0, code)
        assert.equal(list[1].name, json.decode(out).name)
        code, out = weir(verb.name, "show", list[1].name, "--admin", g.admin)
        assert.equal(0, code)
        for key in pairs(list[1]) do assert.is_truthy(out:find("\n  " .. key .. " ", 1, true)
          or out:find("  " .. key .. " ", 1, true) == 1 or type(list[1][key]) == "table", key) end
        code, out, err = weir(verb.name, "show", list[1].name .. "x", "--admin", g.admin)
        assert.equal(1, code)
        assert.equal("", out)
        assert.matches("did you mean '" .. list[1].name .. "'?", err, 1, true)
        code, _, err = weir(verb.name, "shwo", "x", "--admin", g.admin)
        assert.equal(2, code)
        assert.matches("did you mean 'show'?", err, 1, true)
        assert.equal(2, (weir(verb.name, "show", "--admin", g.admin)))
        assert.equal(2, (weir(verb.name, "ls", "x", "--admin", g.admin)))
      end
    end
    assert.is_true(kinds >= 13)
  end)

  it("with --json prints JSON and nothing else", function()
    local operands = {
      check = { g.path }, policy = { "list" }, log = { "level" },
      upgrade = false, -- spec/upgrade/upgrade_spec.lua
      tail = false, -- spec/cli/tail_spec.lua: it does not end by itself
    }
    for _, verb in ipairs(verbs()) do
      if has_option(verb, "json") and operands[verb.name] ~= false then
        local command = { process.program "weir", verb.name, "--json" }
        for _, operand in ipairs(operands[verb.name] or (verb.is_kind and { "ls" }) or {}) do
          command[#command + 1] = operand
        end
        if has_option(verb, "admin") then command[#command + 1] = "--admin=" .. g.admin end
        local code, out, err = run(command)
        assert.is_true(code == 0 or verb.name == "doctor", verb.name .. err)
        assert.has_no.errors(function() json.decode(out) end, verb.name)
      end
    end
  end)

  describe("is completed", function()
    local scripts = {}
    setup(function()
      for _, shell in ipairs { "bash", "zsh", "fish" } do
        local code, out = weir("completion", shell)
        assert.equal(0, code)
        scripts[shell] = write("weir." .. shell, out)
      end
      write("weir", ("#!/bin/sh\nWEIR_ADMIN=%s exec %s \"$@\"\n"):format(g.admin,
        process.program "weir"))
      assert(os.execute("chmod +x " .. folder .. "/weir") == 0)
    end)

    local function path() return folder .. ":" .. os.getenv "PATH" end

    -- What bash would offer for the words, the last of which is being typed.
    local function bash(...)
      local words = {}
      for i, word in ipairs { "weir", ... } do words[i] = ("%q"):format(word) end
      local code, out, err = run { "/bin/bash", "-c", ([[source %s
        COMP_WORDS=(%s) COMP_CWORD=%d
        _weir && printf '%%s\n' "${COMPREPLY[@]}"]]):format(scripts.bash,
        table.concat(words, " "), #words - 1), env = { PATH = path() } }
      assert.equal("", err)
      assert.equal(0, code)
      return out
    end

    local function fish(line)
      local code, out, err = run { "/usr/bin/fish", "--no-config", "-c",
        ("source %s; complete -C %q"):format(scripts.fish, line),
        env = { PATH = path(), HOME = folder } }
      assert.equal("", err)
      assert.equal(0, code)
      return "\n" .. out
    end

    it("by scripts that their shells accept", function()
      for shell, flag in pairs { bash = "-n", zsh = "-n", fish = "--no-execute" } do
        local code, _, err = run { "/usr/bin/" .. shell, flag, scripts[shell],
          env = { HOME = folder } }
        assert.equal(0, code, shell .. err)
        assert.equal("", err)
      end
    end)

    it("in bash: verbs, options and actions", function()
      local all = bash ""
      for _, verb in ipairs(verbs()) do
        assert.is_truthy(("\n" .. all):find("\n" .. verb.name .. "\n", 1, true), verb.name)
        local options, actions = "\n" .. bash(verb.name, "--"), "\n" .. bash(verb.name, "")
        for _, option in ipairs(verb.options) do
          assert.is_truthy(options:find("\n--" .. option.name .. "\n", 1, true), option.name)
        end
        for _, action in ipairs(verb.actions) do
          assert.is_truthy(actions:find("\n" .. action.name .. "\n", 1, true), action.name)
        end
      end
    end)

    it("in bash: names of the running weir, as they have to be typed, and files", function()
      assert.equal("two\\ words\n", bash("breaker", "show", "tw"))
      assert.equal("\n", bash("breaker", "show", "zz"))
      assert.equal(scripts.bash .. "\n", bash("run", folder .. "/weir.b"))
    end)

    it("in spite of options between the words, and from the weir that --admin names", function()
      local other = gateway.start { workers = 1, (SCRIPT:gsub("two words", "other words")) }
      local at = other.admin
      assert.equal("other\\ words\n", bash("breaker", "--admin", at, "show", "o"))
      assert.equal("other\\ words\n", bash("breaker", "show", "-a", at, "--json", "o"))
      -- As bash cuts them.
      assert.equal("other\\ words\n", bash("breaker", "show", "--admin", "=", at, "o"))
      local port = tostring(other.admin_port)
      assert.equal("other\\ words\n",
        bash("breaker", "--admin", "=", "127.0.0.1", ":", port, "show", "o"))
      assert.matches("\nshow\n", "\n" .. bash("breaker", "--admin", at, ""))
      assert.equal(scripts.bash .. "\n", bash("breaker", "--admin", folder .. "/weir.b"))
      assert.matches("\nother words\n", fish("weir breaker --admin " .. at .. " show "))
      assert.matches("\nother words\n", fish("weir breaker show --json --admin=" .. at .. " "))
      assert.matches("\nshow\t", fish("weir breaker -a " .. at .. " "))
      for _, words in ipairs { "breaker --admin " .. at .. " show ''",
        "breaker show --admin=" .. at .. " ''" } do
        local code, out, err = run { "/usr/bin/zsh", "-f", "-c", ([[compdef() {}
          source %s
          compadd() { print -l $names }
          words=(%s) service=breaker
          _weir_names]]):format(scripts.zsh, words), env = { PATH = path(), HOME = folder } }
        assert.same({ 0, "other words\n", "" }, { code, out, err })
      end
      other:stop()
    end)

    it("in fish: verbs, options, actions and names", function()
      local all = fish "weir "
      for _, verb in ipairs(verbs()) do
        assert.is_truthy(all:find("\n" .. verb.name .. "\t" .. verb.summary, 1, true), verb.name)
      end
      for _, verb in ipairs(verbs()) do
        if verb.name == "run" or verb.name == "breaker" or verb.name == "policy" then
          local options, actions = fish("weir " .. verb.name .. " --"),
            fish("weir " .. verb.name .. " ")
          for _, option in ipairs(verb.options) do
            assert.is_truthy(options:find("\n--" .. option.name .. "\t", 1, true), option.name)
          end
          for _, action in ipairs(verb.actions) do
            assert.is_truthy(actions:find("\n" .. action.name .. "\t", 1, true), action.name)
          end
        end
      end
      assert.matches("\ntwo words\n", fish "weir breaker show ")
    end)

    it("in zsh: verbs, options, actions and names", function()
      local file = assert(io.open(scripts.zsh))
      local text = file:read "*a"
      file:close()
      for _, verb in ipairs(verbs()) do
        assert.is_truthy(text:find("\n    '" .. verb.name .. ":'", 1, true), verb.name)
        local part = text:match("\n    " .. verb.name .. "%)\n(.-)\n      ;;\n")
        for _, option in ipairs(verb.options) do
          assert.is_truthy(part:find("'--" .. option.name .. "['", 1, true)
            or part:find("'--" .. option.name .. "=['", 1, true), option.name)
        end
        local actions = part:match "'1:action:(%b())'"
        for _, action in ipairs(verb.actions) do
          assert.is_truthy(actions:find("%f[%w_]" .. action.name .. "%f[^%w_]"), action.name)
        end
        assert.equal(verb.is_kind, part:find("'2:name:_weir_names'", 1, true) ~= nil)
      end
    end)

    it("by no other shell", function()
      local code, out, err = weir("completion", "fihs")
      assert.equal(2, code)
      assert.equal("", out)
      assert.matches("did you mean 'fish'?", err, 1, true)
    end)
  end)

  it("log shows the level of the log, and sets it", function()
    assert.same({ 0, "info\n", "" }, { weir("log", "level", "--admin", g.admin) })
    assert.same({ 0, "all processes log so from now on, until `reset`\n", "" },
      { weir("log", "level", "debug", "--admin", g.admin) })
    assert.same({ 0, "debug, by an order; started with info\n", "" },
      { weir("log", "level", "--admin", g.admin) })
    local _, out = weir("log", "level", "warn", "--json", "--admin", g.admin)
    assert.is_true(json.decode(out).ok)
    _, out = weir("log", "level", "-j", "--admin", g.admin)
    assert.same({ level = "warn", started_with = "info" }, json.decode(out))
    assert.equal(0, (weir("log", "reset", "--admin", g.admin)))
    assert.same({ 0, "info\n", "" }, { weir("log", "level", "--admin", g.admin) })
    local code, _, err = weir("log", "level", "loud", "--admin", g.admin)
    assert.equal(2, code)
    assert.matches("a level is debug, info, warn or error, not 'loud'", err, 1, true)
    code, _, err = weir("log", "levle", "--admin", g.admin)
    assert.equal(2, code)
    assert.matches("did you mean 'level'?", err, 1, true)
    assert.equal(2, (weir("log", "reset", "info", "--admin", g.admin)))
  end)

  it("has a manual page that groff accepts without a warning", function()
    local man = folder .. "/man"
    assert(os.execute("mkdir " .. man) == 0)
    assert.equal(0, (weir("man", "--into", man)))
    local pages = { "weir" }
    for _, verb in ipairs(verbs()) do pages[#pages + 1] = "weir-" .. verb.name end
    for i, page in ipairs(pages) do
      local path = man .. "/" .. page .. ".1"
      local code, out, err = run { "/usr/bin/groff", "-man", "-Tutf8", "-ww", "-P-cbou", path }
      assert.equal(0, code, page)
      assert.equal("", err)
      assert.equal(1, (out:find(page:upper() .. "(1)", 1, true)))
      local verb = verbs()[i - 1]
      for _, list in ipairs { verb and verb.options or {}, verb and verb.actions or {} } do
        for _, row in ipairs(list) do
          assert.is_truthy(out:find(row.name, 1, true), page .. " " .. row.name)
        end
      end
    end
    local _, one = weir("man", "breaker")
    assert.matches("^%.TH WEIR", one)
    assert.matches("\n%.SH NAME\nweir\\%-breaker \\%- stops calling", one)
    local _, main = weir "man"
    for i = 2, #pages do assert.is_truthy(main:find("\\fB" .. pages[i]:sub(6), 1, true)) end
    assert.equal(2, (weir("man", "nix")))
    local code, _, err = weir("man", "--into", "/nonexistent")
    assert.equal(1, code)
    assert.matches("cannot write to /nonexistent: No such file", err)
  end)
end)
