#!/usr/bin/env python3
"""Servers that spoil a TLS handshake, one for each mode: tls_odd.py CERT KEY; prints "MODE N" lines, then
"ready". With `--at ADDRESS PORT MODE` there is that one alone.

  silent    takes what comes and says nothing
  plain     answers in plain HTTP
  garbage   what begins like a record of a handshake, and is none
  flood     a record's head that promises more than any has, and bytes without end
  alert     says handshake_failure
  cut       the first half of its answer, then an end
  close     an end at once
  reset     the same with RST
  drip      all of the handshake byte by byte; then it ends in good order
  truncate  the whole handshake, then an end without close_notify
"""
import os
import socket
import ssl
import struct
import sys
import threading


def shake(sock, context, send):
    """A handshake as the server; what goes out passes through `send`."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(into, out, server_side=True)
    while True:
        try:
            tls.do_handshake()
            send(out.read())
            return tls, out
        except ssl.SSLWantReadError:
            send(out.read())
            data = sock.recv(65536)
            if not data:
                raise ConnectionError
            into.write(data)


def drip(sock, data):
    for i in range(len(data)):
        sock.sendall(data[i:i + 1])


class Half(Exception):
    pass


def half(sock, data):
    if data:
        sock.sendall(data[:len(data) // 2])
        raise Half


def serve(sock, mode, context):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if mode in ("drip", "truncate"):
        tls, out = shake(sock, context, lambda d: drip(sock, d) if mode == "drip" else sock.sendall(d))
        if mode == "drip":
            try:
                tls.unwrap()
            except ssl.SSLError:
                pass
            sock.sendall(out.read())
    elif mode == "cut":
        shake(sock, context, lambda data: half(sock, data))
    elif mode != "close":
        sock.recv(65536)
        if mode == "plain":
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        elif mode == "garbage":
            sock.sendall(b"\x16\x03\x03\x10\x00" + os.urandom(4096))
        elif mode == "alert":
            sock.sendall(b"\x15\x03\x03\x00\x02\x02\x28")
        elif mode == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif mode == "flood":
            sock.sendall(b"\x16\x03\x03\xff\xff")
            while True:
                sock.sendall(os.urandom(65536))
        elif mode == "silent":
            while sock.recv(65536):
                pass
    sock.close()


def run(sock, mode, context):
    try:
        serve(sock, mode, context)
    except (OSError, Half):
        sock.close()


def accept(listener, mode, context):
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=run, args=(sock, mode, context), daemon=True).start()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    context.set_alpn_protocols(["h2", "http/1.1"])
    modes = __doc__.split("alone.\n")[1].split("\n")
    modes, place = [line.split()[0] for line in modes if line.strip()], ("127.0.0.1", 0)
    if len(sys.argv) > 3:
        place, modes = (sys.argv[4], int(sys.argv[5])), [sys.argv[6]]
    for mode in modes:
        listener = socket.create_server(place, backlog=64)
        print(mode, listener.getsockname()[1], flush=True)
        threading.Thread(target=accept, args=(listener, mode, context), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


main()
