#!/usr/bin/env python3
"""A client of HTTP/2 that sends frames as told, well or badly formed, and says what came back.

  h2_client.py [--tls] PORT CASE[=ARGUMENT]...

Runs the cases one after another, each on a connection of its own. Prints a line for each, a JSON object
of how the server took it:

  goaway       [last stream, error code] of each GOAWAY, in order
  resets       {stream: error code} of the RST_STREAMs
  streams      {stream: {"status", "headers", "body_bytes", "body", "trailers", "ended"}}
  settings     the server's
  closed       the server closed the connection
  neighbour    status of a request of somebody else, while the case held or had just flooded its connection
  pings        acknowledgements of PING
Every wait is bounded: a case that does not end as it should prints what it has with "late": true.
"""
import json
import socket
import ssl
import struct
import sys
import time

import hpack  # of python3-h2, which only /usr/bin/python3 is sure to have

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONT = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WAIT = 20


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Client:
    def __init__(self, port, tls=False, settings=b"", hello=True):
        self.port, self.tls = port, tls
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl._create_unverified_context()
            context.set_alpn_protocols(["h2"])
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.buffer = b""
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.block, self.out = None, {
            "goaway": [], "resets": {}, "streams": {}, "settings": {}, "closed": False, "pings": 0,
            "windows": 0,
        }
        self.auto = True
        if hello:
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    # --- sending ---------------------------------------------------------------------------------

    def send(self, data):
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            self.out["broke_while_sending"] = True
            return False

    def head(self, stream, fields=None, end=True, flags=0, raw=None, **more):
        block = raw if raw is not None else self.encoder.encode(fields or self.fields(**more))
        parts = [block[at:at + 16384] for at in range(0, len(block), 16384)] or [b""]
        bits = (END_STREAM if end else 0) | flags | (END_HEADERS if len(parts) == 1 else 0)
        frames = frame(HEADERS, bits, stream, parts[0])
        for i, part in enumerate(parts[1:]):
            frames += frame(CONT, END_HEADERS if i + 2 == len(parts) else 0, stream, part)
        return frames

    def fields(self, method="GET", path="/hello", authority="a", scheme="http", extra=()):
        return [(":method", method), (":scheme", scheme), (":path", path),
                (":authority", authority)] + list(extra)

    # --- receiving -------------------------------------------------------------------------------

    def stream(self, number):
        return self.out["streams"].setdefault(str(number), {
            "status": None, "headers": {}, "body_bytes": 0, "body": "", "trailers": None, "ended": False,
        })

    def take_block(self, number, block, flags):
        fields = self.decoder.decode(block)
        s = self.stream(number)
        status = dict(fields).get(":status")
        if status == "100":
            s["continued"] = True
        elif s["status"] is None:
            s["status"] = int(status)
            s["headers"] = {k: v for k, v in fields}
        else:
            s["trailers"] = {k: v for k, v in fields}
        if flags & END_STREAM:
            s["ended"] = True

    def take(self, kind, flags, number, payload):
        if kind == DATA:
            s = self.stream(number)
            s["body_bytes"] += len(payload)
            if len(s["body"]) < 4096:
                s["body"] += payload.decode("latin-1")[:4096]
            if flags & END_STREAM:
                s["ended"] = True
            if self.auto and payload:
                size = struct.pack(">I", len(payload))
                self.send(frame(WINDOW, 0, 0, size))
                if not s["ended"]:
                    self.send(frame(WINDOW, 0, number, size))
        elif kind == HEADERS:
            if flags & END_HEADERS:
                self.take_block(number, payload, flags)
            else:
                self.block = (number, payload, flags)
        elif kind == CONT:
            number, before, first = self.block
            self.block = (number, before + payload, first)
            if flags & END_HEADERS:
                self.take_block(*self.block)
        elif kind == RST:
            self.out["resets"][str(number)] = struct.unpack(">I", payload)[0]
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at:at + 6])
                self.out["settings"][str(key)] = value
            if self.auto:
                self.send(frame(SETTINGS, ACK))
        elif kind == PING:
            if flags & ACK:
                self.out["pings"] += 1
            elif self.auto:
                self.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.out["goaway"].append(list(struct.unpack(">II", payload[:8])))
        elif kind == WINDOW and number > 0:
            self.out["windows"] += 1

    def pump(self, seconds):
        """Takes what comes within `seconds`. False once the server has closed."""
        self.sock.settimeout(max(seconds, 0.001))
        try:
            data = self.sock.recv(65536)
        except (socket.timeout, ssl.SSLWantReadError):
            return True
        except OSError:
            data = b""
        if not data:
            self.out["closed"] = True
            return False
        self.buffer += data
        while len(self.buffer) >= 9:
            size = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + size:
                break
            kind, flags, number = struct.unpack(">BBI", self.buffer[3:9])
            payload, self.buffer = self.buffer[9:9 + size], self.buffer[9 + size:]
            self.take(kind, flags, number & 0x7FFFFFFF, payload)
        return True

    def until(self, done, seconds=WAIT):
        end = time.monotonic() + seconds
        while not done():
            left = end - time.monotonic()
            if left <= 0:
                self.out["late"] = True
                return False
            if not self.pump(min(left, 0.2)):
                return done()
        return True

    def until_over(self, *streams):
        def over(number):
            s = self.out["streams"].get(str(number))
            return (s and s["ended"]) or str(number) in self.out["resets"]
        return self.until(lambda: all(over(n) for n in streams))

    def until_closed(self):
        return self.until(lambda: self.out["closed"])

    def ping(self):
        """All that was sent before has been read when this returns."""
        before = self.out["pings"]
        self.send(frame(PING, 0, 0, b"12345678"))
        return self.until(lambda: self.out["pings"] > before or self.out["closed"])

    def neighbour(self):
        other = Client(self.port, self.tls)
        other.send(other.head(1))
        other.until_over(1)
        self.out["neighbour"] = other.stream(1)["status"]
        other.sock.close()

    def flood(self, data, times, chunk=200):
        """Sends `data` so often, or until the server has had enough."""
        for at in range(0, times, chunk):
            if not self.send(data * min(chunk, times - at)):
                break
            self.pump(0)
        self.neighbour()
        self.until_closed()


CASES = {}


def case(f):
    CASES[f.__name__.replace("_of", "")] = f
    return f


# --- what is well formed -----------------------------------------------------------------------------


@case
def get(c, target="/hello"):
    c.send(c.head(1, path=target))
    c.until_over(1)


@case
def head_method(c, target="/hello"):
    c.send(c.head(1, method="HEAD", path=target))
    c.until_over(1)


@case
def crumbs(c, target="/fields"):
    c.send(c.head(1, path=target, extra=[("cookie", "a=1"), ("x-y", "z"), ("cookie", "b=2")]))
    c.until_over(1)


@case
def expect_continue(c, target="/echo"):
    c.send(c.head(1, method="POST", path=target, end=False,
                  extra=[("expect", "100-continue"), ("content-length", "5")]))
    c.until(lambda: c.stream(1).get("continued"))
    c.send(frame(DATA, END_STREAM, 1, b"hello"))
    c.until_over(1)


@case
def request_trailers(c, target="/echo"):
    c.send(c.head(1, method="POST", path=target, end=False) + frame(DATA, 0, 1, b"hello"))
    c.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, c.encoder.encode([("x-sum", "1")])))
    c.until_over(1)


@case
def padded(c, target="/echo"):
    c.send(c.head(1, method="POST", path=target, end=False))
    for _ in range(600):  # far more padding than a window holds
        c.send(frame(DATA, PADDED, 1, bytes([255]) + b"x" + bytes(255)))
        c.pump(0)
    c.send(frame(DATA, END_STREAM, 1))
    c.until_over(1)


@case
def many(c, count="100"):
    streams = [2 * i + 1 for i in range(int(count))]
    c.send(b"".join(c.head(n) for n in streams))
    c.until_over(*streams)


@case
def two_batches(c, target="/hello"):
    """A connection goes on after a stream was reset by either side."""
    c.send(c.head(1, path="/abort") + c.head(3, path="/hold") + frame(RST, 0, 3, struct.pack(">I", 8)))
    c.until_over(1)
    c.send(c.head(5, path=target))
    c.until_over(5)


@case
def unknown_frame(c):
    c.send(frame(0x77, 0xFF, 0, b"whatever") + c.head(1))
    c.until_over(1)


# --- what breaks a rule about heads ------------------------------------------------------------------


def bad_head(c, fields, end=True):
    c.send(c.head(1, fields, end))
    c.until_over(1)
    c.neighbour()
    # The connection is none the worse.
    c.send(c.head(3))
    c.until_over(3)


F = [(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "a")]
BAD_HEADS = {
    "no_method": F[1:], "no_scheme": [F[0]] + F[2:], "no_path": F[:2] + F[3:], "no_authority": F[:3],
    "two_paths": F + [(":path", "/b")], "pseudo_behind": [("x", "y")] + F,
    "unknown_pseudo": F + [(":proto", "x")], "response_pseudo": F + [(":status", "200")],
    "empty_path": F[:2] + [(":path", "")] + F[3:],
    "upper_case": F + [("X-Upper", "1")], "connection": F + [("connection", "close")],
    "keep_alive": F + [("keep-alive", "1")], "proxy_connection": F + [("proxy-connection", "1")],
    "transfer_encoding": F + [("transfer-encoding", "chunked")], "upgrade": F + [("upgrade", "h2c")],
    "te": F + [("te", "gzip")], "te_trailers": F + [("te", "trailers")],
    "nul": F + [("x", "a\0b")], "crlf": F + [("x", "a\r\nb: c")], "lf": F + [("x", "a\nb")],
    "name_crlf": F + [("x\r\ny", "a")], "name_space": F + [("x y", "a")], "empty_name": F + [("", "a")],
    "white_space": F + [("x", " a ")],
    "host_differs": F + [("host", "b")], "host_same": F + [("host", "A:80")],
    "host_twice": F + [("host", "a"), ("host", "a")], "host_alone": F[:3] + [("host", "a")],
    "user_info": F[:3] + [(":authority", "u@a")], "bad_authority": F[:3] + [(":authority", "a b")],
    "method_space": [(":method", "GE T")] + F[1:], "connect": [(":method", "CONNECT"), F[3]],
    "extended_connect": [(":method", "CONNECT"), (":protocol", "websocket")] + F[1:],
    "trace": [(":method", "TRACE")] + F[1:], "options_all": [(":method", "OPTIONS"), F[1], (":path", "*"), F[3]],
    "get_all": F[:2] + [(":path", "*")] + F[3:], "fragment": F[:2] + [(":path", "/a#b")] + F[3:],
    "path_space": F[:2] + [(":path", "/a b")] + F[3:], "absolute": F[:2] + [(":path", "http://a/")] + F[3:],
    "climbs": F[:2] + [(":path", "/../etc")] + F[3:], "scheme": [F[0], (":scheme", "ftp")] + F[2:],
    "length_twice": F + [("content-length", "1"), ("content-length", "1")],
    "length_sign": F + [("content-length", "+1")], "length_without_body": F + [("content-length", "5")],
    "many_fields": F + [("x-%d" % i, "1") for i in range(120)],
    "long_field": F + [("x", "y" * 9000)], "long_path": F[:2] + [(":path", "/" + "a" * 9000)] + F[3:],
    "large_head": F + [("x-%d" % i, "y" * 8000) for i in range(5)],
    "under_score": F + [("x_forwarded_for", "1")],
}


@case
def bad(c, name):
    fields = BAD_HEADS[name]
    # hpack's encoder lowers nothing: names leave as they are here.
    bad_head(c, fields)


def bad_body(c, length, pieces, end=True):
    extra = [("content-length", str(length))] if length is not None else []
    c.send(c.head(1, method="POST", path="/count", end=False, extra=extra))
    for i, piece in enumerate(pieces):
        c.send(frame(DATA, END_STREAM if end and i + 1 == len(pieces) else 0, 1, piece))
    c.until_over(1)
    c.neighbour()
    c.send(c.head(3))
    c.until_over(3)


@case
def body_short(c):
    bad_body(c, 10, [b"12345"])


@case
def body_long(c):
    bad_body(c, 3, [b"12", b"345"])


@case
def body_right(c):
    bad_body(c, 5, [b"12", b"345"])


# --- what breaks a rule about frames -----------------------------------------------------------------


def bad_frame(c, data):
    c.send(data)
    c.neighbour()
    c.until_closed()


BAD_FRAMES = {
    "data_on_idle": lambda c: frame(DATA, END_STREAM, 1, b"x"),
    "data_on_0": lambda c: frame(DATA, 0, 0, b"x"),
    "even_stream": lambda c: c.head(2),
    "stream_goes_back": lambda c: c.head(5) + c.head(3),
    "headers_on_0": lambda c: c.head(0),
    "continuation_alone": lambda c: frame(CONT, END_HEADERS, 1, b""),
    "headers_cut": lambda c: frame(HEADERS, END_STREAM, 1, c.encoder.encode(c.fields())) + frame(PING, 0, 0, b"12345678"),
    "bad_hpack": lambda c: c.head(1, raw=b"\xff\xff\xff\xff\xff\xff"),
    "bad_index": lambda c: c.head(1, raw=b"\xfe"),
    "large_frame": lambda c: frame(DATA, 0, 1, bytes(20000)),
    "short_ping": lambda c: frame(PING, 0, 0, b"1234"),
    "ping_on_stream": lambda c: frame(PING, 0, 1, b"12345678"),
    "settings_size": lambda c: frame(SETTINGS, 0, 0, b"12345"),
    "settings_on_stream": lambda c: frame(SETTINGS, 0, 1, b""),
    "settings_ack_payload": lambda c: frame(SETTINGS, ACK, 0, bytes(6)),
    "settings_window": lambda c: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0x80000000)),
    "settings_frame_size": lambda c: frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 100)),
    "push": lambda c: frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2)),
    "window_zero": lambda c: frame(WINDOW, 0, 0, struct.pack(">I", 0)),
    "window_overflow": lambda c: frame(WINDOW, 0, 0, struct.pack(">I", 0x7FFFFFFF)),
    "rst_on_idle": lambda c: frame(RST, 0, 1, struct.pack(">I", 8)),
    "padding": lambda c: c.head(1, method="POST", end=False) + frame(DATA, PADDED, 1, bytes([9]) + b"x"),
}


@case
def bad_frame_of(c, name):
    bad_frame(c, BAD_FRAMES[name](c))


@case
def no_settings(c):
    """The client's preface without its SETTINGS."""
    c.send(PREFACE + frame(PING, 0, 0, b"12345678"))
    c.neighbour()
    c.until_closed()


@case
def preface_slow(c):
    for i in range(len(PREFACE)):
        c.send(PREFACE[i:i + 1])
        time.sleep(0.002)
    c.send(frame(SETTINGS) + c.head(1))
    c.until_over(1)


@case
def preface_wrong(c):
    c.send(PREFACE[:-4] + b"XX\r\n")
    c.until_closed()
    c.out["raw"] = c.buffer.decode("latin-1")


# --- floods ------------------------------------------------------------------------------------------


@case
def rapid_reset(c):
    c.auto = False
    n = [1]

    def burst(count):
        data = b""
        for _ in range(count):
            data += c.head(n[0], path="/hold") + frame(RST, 0, n[0], struct.pack(">I", 8))
            n[0] += 2
        return data
    for _ in range(50):
        if not c.send(burst(100)):
            break
        c.pump(0)
    c.neighbour()
    c.until_closed()


@case
def few_resets(c):
    """What an honest client does: it cancels all that it has under way, twice."""
    n = 1
    for _ in range(2):
        streams = range(n, n + 80, 2)
        c.send(b"".join(c.head(i, path="/hold") for i in streams))
        c.send(b"".join(frame(RST, 0, i, struct.pack(">I", 8)) for i in streams))
        c.ping()
        n += 80
    c.send(c.head(n))
    c.until_over(n)
    c.out["last"] = c.stream(n)["status"]


@case
def continuation_flood(c):
    c.auto = False
    c.send(frame(HEADERS, END_STREAM, 1, c.encoder.encode(c.fields())))
    c.flood(frame(CONT, 0, 1, b"\x40\x01a\x01b"), 5000)


@case
def empty_continuations(c):
    c.auto = False
    c.send(frame(HEADERS, END_STREAM, 1, c.encoder.encode(c.fields())))
    c.flood(frame(CONT, 0, 1, b""), 5000)


@case
def settings_flood(c):
    c.auto = False
    c.flood(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 70000)), 20000)


@case
def ping_flood(c):
    c.auto = False
    c.flood(frame(PING, 0, 0, b"12345678"), 20000)


@case
def priority_flood(c):
    c.auto = False
    c.flood(frame(PRIORITY, 0, 1, struct.pack(">IB", 3, 1)), 20000)


@case
def window_flood(c):
    c.auto = False
    c.flood(frame(WINDOW, 0, 0, struct.pack(">I", 1)), 50000)


@case
def empty_data_flood(c):
    c.auto = False
    c.send(c.head(1, method="POST", path="/count", end=False))
    c.flood(frame(DATA, 0, 1, b""), 20000)


@case
def unknown_flood(c):
    c.auto = False
    c.flood(frame(0x77, 0, 0, b""), 20000)


@case
def invalid_flood(c):
    c.auto = False
    n = 1
    for _ in range(40):
        data = b""
        for _ in range(50):
            data += c.head(n, F + [("connection", "close")])
            n += 2
        if not c.send(data):
            break
        c.pump(0)
    c.neighbour()
    c.until_closed()


@case
def hpack_bomb(c):
    """One large field in the table, then thousands of references to it, a byte each."""
    c.auto = False
    block = c.encoder.encode(c.fields() + [("x-bomb", "y" * 3900)])
    c.flood(c.head(1, raw=block + b"\xbe" * 12000), 1)


@case
def too_many_streams(c):
    c.send(b"".join(c.head(2 * i + 1, path="/hold") for i in range(100)))
    c.ping()
    c.send(c.head(201, path="/hello"))
    c.neighbour()
    c.until(lambda: c.out["closed"] or "201" in c.out["resets"], 10)


@case
def zero_window(c):
    """Takes no byte of many responses."""
    c.auto = False
    c.send(frame(SETTINGS, ACK))
    streams = range(1, 41, 2)
    c.send(b"".join(c.head(n, path="/big?size=1000000") for n in streams))
    c.until(lambda: all(c.stream(n)["status"] for n in streams))
    c.neighbour()
    c.until_over(*streams)


@case
def slow_read(c):
    """The socket is not read at all."""
    c.send(frame(WINDOW, 0, 0, struct.pack(">I", 0x10000000)))
    c.send(c.head(1, path="/big?size=100000000"))
    c.neighbour()
    time.sleep(float("0.2"))
    c.neighbour()


@case
def slow_head(c):
    """A head that never ends."""
    block = c.encoder.encode(c.fields())
    c.auto = False
    c.send(frame(HEADERS, END_STREAM, 1, block[:5]))
    c.neighbour()
    c.until_closed()


@case
def slow_body(c):
    c.send(c.head(1, method="POST", path="/count", end=False, extra=[("content-length", "10")]))
    c.send(frame(DATA, 0, 1, b"12"))
    c.neighbour()
    c.until_over(1)


@case
def idle(c):
    c.until_closed()


@case
def stalled_upload(c):
    """One stream's body is not read by the layer above; the others have all of the connection."""
    c.send(c.head(1, method="POST", path="/hold", end=False))
    c.send(frame(DATA, 0, 1, bytes(16384)) * 3 + frame(DATA, 0, 1, bytes(16383)))
    c.ping()
    total, sent = 4 * 1024 * 1024, 0
    c.out["stalled_windows"] = c.out["windows"]
    c.send(c.head(3, method="POST", path="/count", end=False))
    stream_window = 65535
    while sent < total:
        while stream_window < 16384:
            before = c.out["windows"]
            if not c.until(lambda: c.out["windows"] > before):
                return
            stream_window += 32768
        c.send(frame(DATA, 0, 3, bytes(16384)))
        sent += 16384
        stream_window -= 16384
    c.send(frame(DATA, END_STREAM, 3))
    c.until_over(3)


@case
def drain(c, target="/hold"):
    """Waits for the server to say that it goes, sends one more request, and lets all end."""
    c.send(c.head(1, path=target))
    c.ping()
    print("ready", flush=True)
    c.auto = False
    c.until(lambda: len(c.out["goaway"]) >= 1)
    c.send(c.head(3, path="/release") + frame(PING, ACK, 0, bytes(8)))
    c.until(lambda: len(c.out["goaway"]) >= 2)
    c.until_closed()


@case
def gone(c, target="/hold"):
    c.send(c.head(1, path=target))
    c.ping()
    c.send(frame(RST, 0, 1, struct.pack(">I", 8)))
    c.ping()


@case
def grpc(c, target="/echo.Echo/Say"):
    message = b"\0\0\0\0\5hello"
    c.send(c.head(1, method="POST", path=target, end=False, extra=[
        ("te", "trailers"), ("content-type", "application/grpc"), ("grpc-timeout", "5S")]))
    c.send(frame(DATA, END_STREAM, 1, message))
    c.until_over(1)


def main():
    words = sys.argv[1:]
    tls = words[0] == "--tls"
    if tls:
        words = words[1:]
    for word in words[1:]:
        name, _, argument = word.partition("=")
        raw = name in ("no_settings", "preface_slow", "preface_wrong")
        settings = struct.pack(">HI", 4, 0) if name == "zero_window" else b""
        c = Client(int(words[0]), tls, settings, hello=not raw)
        try:
            CASES[name](c, *([argument] if argument else []))
        finally:
            print(json.dumps(c.out), flush=True)
            c.sock.close()


if __name__ == "__main__":
    main()
