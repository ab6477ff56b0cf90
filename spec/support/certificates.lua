--- Certificates made on the spot by openssl(1), in a folder of their own.
---
---     local c = certificates.new()
---     local ca = c:authority "root"
---     local server = c:make("a", { san = "DNS:a.example,DNS:*.a.example", by = ca })
---     server.cert, server.key          -- paths
---     c:remove()
local process = require "spec.support.process"

local certificates = {}
local Folder = {}
Folder.__index = Folder

--- `path` may name the folder; whoever does so removes it.
function certificates.new(path)
  if not path then
    path = os.tmpname()
    os.remove(path)
  end
  assert(os.execute("mkdir -p " .. path) == 0)
  return setmetatable({ path = path, serial = 0 }, Folder)
end

local function openssl(arguments)
  local command = { "/usr/bin/openssl" }
  for word in arguments:gmatch "%S+" do command[#command + 1] = (word:gsub("%%20", " ")) end
  local p = process.spawn(command)
  local code = p:wait(30)
  local err = p:stderr()
  p:kill()
  assert(code == 0, err)
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local KEYS = { ec = "ec -pkeyopt ec_paramgen_curve:prime256v1", rsa = "rsa:2048" }

local function request(self, name, options)
  local base = self.path .. "/" .. name
  local subject = (options.subject or "/CN=" .. name):gsub(" ", "%%20")
  openssl(("req -new -newkey %s -nodes -keyout %s.key -out %s.csr -subj %s"):format(
    KEYS[options.kind or "ec"], base, base, subject))
  return base
end

--- An authority that signs itself. Returns `{ cert, key }`.
function Folder:authority(name)
  local base = request(self, name, {})
  write(base .. ".ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n")
  openssl(("x509 -req -in %s.csr -signkey %s.key -out %s.pem -days 30 -extfile %s.ext"):format(base,
    base, base, base))
  return { cert = base .. ".pem", key = base .. ".key" }
end

--- A certificate: `by` an authority or by itself; `san` as openssl has it; `kind` "ec" or "rsa";
--- `days` until it ends (30; below 0 it has ended); `subject`. Returns `{ cert, key }`.
function Folder:make(name, options)
  local base = request(self, name, options)
  self.serial = self.serial + 1
  write(base .. ".ext", ("subjectAltName=%s\n"):format(options.san or "DNS:" .. name))
  local by = options.by and ("-CA %s -CAkey %s"):format(options.by.cert, options.by.key)
    or ("-signkey %s.key"):format(base)
  local days = options.days or 30
  openssl(("x509 -req -in %s.csr %s -set_serial %d -out %s.pem -days %d -extfile %s.ext"):format(
    base, by, self.serial, base, days, base))
  return { cert = base .. ".pem", key = base .. ".key" }
end

--- A certificate's bytes in base64, as its file has them between the marks.
function certificates.der(pair)
  local file = assert(io.open(pair.cert))
  local text = file:read "*a"
  file:close()
  return (text:match "%-%-%-%-%-\n(.-)\n%-%-%-%-%-":gsub("\n", ""))
end

--- Copies a pair over another one, as an operator renews it.
function certificates.replace(old, new)
  for _, part in ipairs { "cert", "key" } do
    assert(os.execute(("cp %s %s.new && mv %s.new %s"):format(new[part], old[part], old[part],
      old[part])) == 0)
  end
end

function Folder:remove()
  os.execute("rm -r " .. self.path)
end

return certificates
