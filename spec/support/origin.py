#!/usr/bin/env python3
"""A raw TCP origin that misbehaves as its requests ask it to. Standard library only.

  origin.py [--tls DIRECTORY] [--unix PATH] [--ipv6] [--proxied] [--seed N]

Prints "port N", and "cert PATH" before with --tls. Listens on 127.0.0.1, with --ipv6 on ::1 at the same
port, with --unix on that socket too. With --proxied every connection begins with a PROXY header.

What a request's target says is done after its body was read, then the next request is read:

  /run?STEP;STEP…  with percent-encoded steps:
      early             (first only) does not read the body before the other steps
      send:BYTES        sends
      slow:MS:BYTES     sends byte by byte, MS apart
      zeros:N           sends N zero bytes
      repeat:N:BYTES    sends the same N times
      wait:MS           lets time pass
      until:NAME        waits until NAME was released
      hang              waits until the peer goes away
      close / reset     FIN, behind a close_notify over TLS, or RST (SO_LINGER 0)
      cut               FIN alone
  /ok              200 with a JSON account of the request: raw head, body size, connection, place on it,
                   and the connection's PROXY header in hexadecimal
  /flaky           at random: closes without an answer when the connection was used before, or answers
                   and then closes, or answers and closes a moment later, or just answers
  /plan/X          each request in turn does the steps of one line that was put into /planning/X; past the
                   last line: 599
  PUT /planning/X  lines of steps for /plan/X; forgets what it saw before
  /seen/X          JSON: the heads that /plan/X got, in order
  PUT /release/N   lets the steps `until:N` go on, those to come too
  /counts          JSON: requests by method, connections, and how many X-Id values came twice
"""
import argparse
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import threading
import time
from urllib.parse import unquote_to_bytes

LOCK = threading.Lock()
STATE = {"connections": 0, "methods": {}, "ids": {}, "open": 0, "hanging": 0}
RNG = random.Random()
PLANS = {}
SEEN = {}
RELEASED = set()
RELEASE = threading.Condition()


class Gone(Exception):
    pass


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number, self.buffer, self.served = sock, number, b"", 0
        self.preamble = b""

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.buffer += data

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
            if self.buffer[0] == 0x16:  # a TLS hello
                self.answer(b"", b"400 Bad Request")
                self.close_now()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head + b"\r\n\r\n"

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read_body(self, fields):
        body = b""
        if fields.get("transfer-encoding") == "chunked":
            while True:
                size = int(self.read_line(), 16)
                body += self.take(size)
                self.read_line()
                if size == 0:
                    return body
        size = int(fields.get("content-length", "0"))
        digest = 0
        while size > 0:
            piece = self.take(min(size, 65536))
            size -= len(piece)
            digest += len(piece)
            body = body + piece if digest <= 1 << 20 else body
        self.body_size = digest
        return body

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.cut()

    def close_now(self):
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.setblocking(False)  # it would wait for the peer's
            try:
                self.sock.unwrap()
            except (ssl.SSLError, OSError):
                pass
        self.cut()

    def cut(self):
        try:
            self.sock.close()
        finally:
            raise Gone

    def hang(self):
        while self.sock.recv(65536):
            pass
        raise Gone

    def answer(self, body, status=b"200 OK"):
        self.sock.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))


def step(conn, text):
    verb, _, rest = text.partition(":")
    if verb == "send":
        conn.sock.sendall(unquote_to_bytes(rest))
    elif verb == "slow":
        ms, _, data = rest.partition(":")
        for byte in unquote_to_bytes(data):
            conn.sock.sendall(bytes([byte]))
            time.sleep(int(ms) / 1000)
    elif verb == "zeros":
        left = int(rest)
        while left > 0:
            conn.sock.sendall(bytes(min(left, 65536)))
            left -= 65536
    elif verb == "repeat":
        count, _, data = rest.partition(":")
        for _ in range(int(count)):
            conn.sock.sendall(unquote_to_bytes(data))
    elif verb == "wait":
        time.sleep(int(rest) / 1000)
    elif verb == "until":
        with RELEASE:
            RELEASE.wait_for(lambda: rest in RELEASED, 30)
    elif verb == "hang":
        with LOCK:
            STATE["hanging"] += 1
        try:
            conn.hang()
        finally:
            with LOCK:
                STATE["hanging"] -= 1
    elif verb == "close":
        conn.close_now()
    elif verb == "cut":
        conn.cut()
    elif verb == "reset":
        conn.reset()
    else:
        raise ValueError(text)


def flaky(conn):
    with LOCK:
        dice = RNG.random()
        delay = RNG.random() * 0.002
    if dice < 0.25 and conn.served > 1:
        conn.close_now()
    conn.answer(b"ok")
    if dice < 0.5:
        conn.close_now()
    if dice < 0.75:
        time.sleep(delay)
        conn.close_now()


def count(method, fields):
    with LOCK:
        STATE["methods"][method] = STATE["methods"].get(method, 0) + 1
        if "x-id" in fields:
            STATE["ids"][fields["x-id"]] = STATE["ids"].get(fields["x-id"], 0) + 1


def account():
    with LOCK:
        ids = STATE["ids"]
        return json.dumps({"connections": STATE["connections"], "methods": STATE["methods"],
                           "open": STATE["open"], "hanging": STATE["hanging"], "ids": len(ids),
                           "twice": sum(1 for n in ids.values() if n > 1)}).encode()


def planned(conn, name, head):
    with LOCK:
        SEEN.setdefault(name, []).append(head.decode("latin-1"))
        plan = PLANS.get(name, [])
        steps = plan.pop(0).split(";") if plan else ["send:HTTP/1.1 599 Unplanned%0D%0AContent-Length: 0%0D%0A%0D%0A"]
    for text in steps:
        step(conn, text)


def direct(conn, method, path, body):
    what, _, name = path[1:].partition("/")
    if method == "PUT" and what == "planning":
        with LOCK:
            PLANS[name], SEEN[name] = body.decode("latin-1").split("\n"), []
    elif method == "PUT" and what == "release":
        with RELEASE:
            RELEASED.add(name)
            RELEASE.notify_all()
    elif what != "seen":
        return False
    with LOCK:
        answer = json.dumps(SEEN.get(name, [])).encode()
    conn.answer(answer)
    return True


def serve_one(conn):
    head = conn.read_head()
    lines = head.decode("latin-1").split("\r\n")
    method, target = lines[0].split(" ")[0:2]
    fields = {k.lower(): v.strip() for k, _, v in (l.partition(":") for l in lines[1:] if l)}
    conn.served += 1
    path, _, script = target.partition("?")
    if path == "/counts":
        conn.answer(account())
        return
    count(method, fields)
    steps = [s for s in script.split(";") if s] if path == "/run" else []
    if not steps or steps[0] != "early":
        conn.body_size = None
        body = conn.read_body(fields)
        if direct(conn, method, path, body):
            return
    if path.startswith("/plan/"):
        planned(conn, path[len("/plan/"):], head)
        return
    for text in steps:
        if text != "early":
            step(conn, text)
    if path == "/flaky":
        flaky(conn)
    elif path != "/run":
        conn.answer(json.dumps({
            "head": head.decode("latin-1"), "body_bytes": conn.body_size or len(body),
            "body": body[:1000].decode("latin-1"), "connection": conn.number, "served": conn.served,
            "preamble": conn.preamble.hex(),
        }).encode())


def take(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise Gone
        data += piece
    return data


def read_preamble(sock):
    """A PROXY header to its last byte, whatever its version."""
    data = take(sock, 8)
    if data == b"\r\n\r\n\0\r\nQ":
        data += take(sock, 8)
        return data + take(sock, int.from_bytes(data[14:16], "big"))
    while not data.endswith(b"\r\n"):
        data += take(sock, 1)
    return data


def serve(sock, number, context, is_proxied):
    with LOCK:
        STATE["open"] += 1
    try:
        preamble = read_preamble(sock) if is_proxied else b""
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        conn = Connection(sock, number)
        conn.preamble = preamble
        while True:
            serve_one(conn)
    except (Gone, OSError):
        pass
    finally:
        with LOCK:
            STATE["open"] -= 1
        sock.close()


def make_context(directory):
    key, cert = os.path.join(directory, "key.pem"), os.path.join(directory, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=origin.test",
                    "-addext", "subjectAltName=DNS:origin.test,DNS:localhost,DNS:a.test,DNS:b.test,DNS:slow.test,"
                    "DNS:shop.example,IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    print("cert", cert, flush=True)
    return context


def accept(listener, context, is_proxied):
    while True:
        sock, _ = listener.accept()
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with LOCK:
            STATE["connections"] += 1
            number = STATE["connections"]
        threading.Thread(target=serve, args=(sock, number, context, is_proxied), daemon=True).start()


def listen(family, address):
    listener = socket.socket(family)
    if family != socket.AF_UNIX:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(1024)
    return listener


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 100000)
    parser.add_argument("--unix")
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument("--proxied", action="store_true")
    options = parser.parse_args()
    RNG.seed(options.seed)
    context = make_context(options.tls) if options.tls else None
    listeners = [listen(socket.AF_INET, ("127.0.0.1", 0))]
    port = listeners[0].getsockname()[1]
    if options.ipv6:
        listeners.append(listen(socket.AF_INET6, ("::1", port)))
    if options.unix:
        listeners.append(listen(socket.AF_UNIX, options.unix))
    print("seed", options.seed, flush=True)
    print("port", port, flush=True)
    for listener in listeners[1:]:
        threading.Thread(target=accept, args=(listener, context, options.proxied), daemon=True).start()
    accept(listeners[0], context, options.proxied)


main()
