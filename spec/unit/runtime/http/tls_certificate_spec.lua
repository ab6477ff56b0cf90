local c, ffi = require "spec.support.c" ("http/tls_certificate.h")
local certificates = require "spec.support.certificates"

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local alive = {}

local function file_of(path, text)
  local f = ffi.new "struct wr_tls_file"
  alive[#alive + 1], alive[#alive + 2] = path, text
  f.path, f.text.ptr, f.text.len = path, text, #text
  return f
end

-- The certificate, or nil and why it is refused.
local function load(cert, key, now)
  local out, err = ffi.new "struct wr_tls_certificate", ffi.new "struct wr_error"
  local ok = c.wr_tls_certificate_load(out, file_of("c.pem", cert), file_of("k.pem", key), now or 0,
    err)
  if ok then return ffi.gc(out, c.wr_tls_certificate_fini) end
  assert(out.leaf == nil and out.key == nil and out.names == nil, "something is left")
  return nil, ffi.string(err.message)
end

local function names(of)
  local list = {}
  for i = 0, tonumber(of.name_count) - 1 do list[i + 1] = ffi.string(of.names[i]) end
  return list
end

describe("a certificate", function()
  local folder, ca, a, b, old, rsa, plain

  local function pair(made) return { cert = slurp(made.cert), key = slurp(made.key) } end

  setup(function()
    folder = certificates.new()
    local authority = folder:authority "root"
    ca = pair(authority)
    a = pair(folder:make("a", { by = authority,
      san = "DNS:A.Example,DNS:*.a.example,IP:192.0.2.1,IP:2001:db8::1,email:x@a.example" }))
    b = pair(folder:make("b", { san = "DNS:b.example" }))
    old = pair(folder:make("old", { san = "DNS:old.example", days = -1 }))
    rsa = pair(folder:make("rsa", { kind = "rsa", san = "DNS:a.example,DNS:*.a.example" }))
    plain = pair(folder:make("plain.example", { san = "email:x@plain.example" }))
  end)

  teardown(function() folder:remove() end)
  after_each(function() alive = {} end)

  it("has the names of its extension, in lower case, hosts and addresses alone", function()
    assert.same({ "a.example", "*.a.example", "192.0.2.1", "2001:db8::1" },
      names(load(a.cert, a.key)))
  end)

  it("has that of its subject when the extension has none", function()
    assert.same({ "plain.example" }, names(load(plain.cert, plain.key)))
  end)

  it("may come with a chain, and with text between", function()
    local one = load("Some text\n" .. a.cert .. "\nmore\n" .. ca.cert, "text\n" .. a.key)
    assert.same({ "a.example", "*.a.example", "192.0.2.1", "2001:db8::1" }, names(one))
  end)

  it("is the same as another of the same names in the same order", function()
    local first, second = load(a.cert, a.key), load(rsa.cert, rsa.key)
    assert.is_false(c.wr_tls_certificate_is_same(first, second))
    assert.is_true(c.wr_tls_certificate_is_same(first, load(a.cert, a.key)))
    assert.is_false(c.wr_tls_certificate_is_same(first, load(b.cert, b.key)))
  end)

  it("is judged by the clock when that is given, and tells its end", function()
    local one = load(a.cert, a.key, os.time())
    local ends = tonumber(c.wr_tls_certificate_end(one.leaf))
    assert.is_true(math.abs(ends - os.time() - 30 * 86400) < 86400)
    assert.is_truthy(load(old.cert, old.key))
    local _, why = load(old.cert, old.key, os.time())
    assert.matches("^certificate 'c.pem': it expired at %d+%-%d+%-%d+ %d+:%d+:%d+ UTC$", why)
    _, why = load(a.cert, a.key, os.time() - 86400)
    assert.matches("^certificate 'c.pem': it is not valid before ", why)
  end)

  it("is refused with the file's name and what is wrong, never a byte of the key", function()
    for _, case in ipairs {
      { "", a.key, "certificate 'c.pem': it holds no certificate in PEM" },
      { "rubbish", a.key, "certificate 'c.pem': it holds no certificate in PEM" },
      { a.key, a.key, "certificate 'c.pem': it holds no certificate in PEM" },
      { a.cert, "", "key 'k.pem': it holds no private key in PEM" },
      { a.cert, a.cert, "key 'k.pem': it holds no private key in PEM" },
      { a.cert, b.key, "key 'k.pem': it does not belong to certificate 'c.pem'" },
      { a.cert, rsa.key, "key 'k.pem': it does not belong to certificate 'c.pem'" },
      { a.cert .. ca.cert:gsub("M", "!", 1), a.key,
        "certificate 'c.pem': one of its certificates is damaged" },
    } do
      local _, why = load(case[1], case[2])
      assert.equal(case[3], why)
    end
  end)

  it("does not ask anybody for a passphrase", function()
    local path = folder.path .. "/locked.key"
    assert(os.execute(("LD_PRELOAD= openssl ec -aes128 -passout pass:secret -in %s/a.key -out %s "
      .. "2>/dev/null"):format(folder.path, path)) == 0)
    local _, why = load(a.cert, slurp(path))
    assert.matches("it is encrypted, and there is nobody to ask for the passphrase", why)
  end)

  it("is refused wherever it is cut", function()
    for _, length in ipairs { 1, 27, 28, 100, #b.cert - 30, #b.cert - 2 } do
      assert.is_nil((load(b.cert:sub(1, length), b.key)))
      assert.is_nil((load(b.cert, b.key:sub(1, math.min(length, #b.key - 10)))))
    end
  end)

  it("may be one of those that others are verified by", function()
    local err = ffi.new "struct wr_error"
    assert.is_true(c.wr_tls_certificate_store(file_of("ca.pem", ca.cert), nil, err) ~= nil)
    assert.is_true(c.wr_tls_certificate_store(file_of("ca.pem", "none"), nil, err) == nil)
    assert.matches("ca.pem", ffi.string(err.message))
  end)
end)
