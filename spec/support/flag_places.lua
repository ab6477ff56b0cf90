--- Places of keys: { flag, key, place in millionths }, computed by an implementation of its own
--- (SipHash-1-3 under the FNV-1a of the flag's name; the upper 32 bits, scaled).
return {
  { "new-search", "user-1", 502504 },
  { "new-search", "user-2", 242572 },
  { "new-search", "", 381730 },
  { "new-cart", "user-1", 882079 },
  { "x", "192.0.2.7", 788616 },
  { "checkout v2", "ein langer Schlüssel mit 40 Bytes und mehr", 728939 },
  { "", "a", 687648 },
}
