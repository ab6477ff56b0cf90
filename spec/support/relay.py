#!/usr/bin/env python3
"""TLS in front of a plain upstream, byte for byte: relay.py PORT DIRECTORY [halves]; prints "port N", "cert PATH".

What ends on one side ends in the same way on the other: FIN behind a close_notify, RST as RST. With `halves` the other
direction goes on then.
"""
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading


def make_context(directory):
    key, cert = os.path.join(directory, "key.pem"), os.path.join(directory, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=relay.test", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["http/1.1"])
    print("cert", cert, flush=True)
    return context


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def send(sock, data):
    while data:
        try:
            data = data[sock.send(data):]
        except (ssl.SSLWantWriteError, BlockingIOError):
            select.select([], [sock], [])


def receive(sock):
    """Bytes, b"" at the end, or None when nothing is there."""
    try:
        return sock.recv(65536)
    except (ssl.SSLWantReadError, BlockingIOError):
        return None
    except ssl.SSLEOFError:
        return b""


def say_end(sock):
    if not isinstance(sock, ssl.SSLSocket):
        sock.shutdown(socket.SHUT_WR)
        return
    try:
        sock.unwrap()
    except (ssl.SSLError, OSError):
        pass  # it waits for the peer's


def pump(tls, plain, halves):
    sides, live = {tls: plain, plain: tls}, {tls, plain}
    while live:
        ready = [tls] if tls in live and tls.pending() else select.select(list(live), [], [])[0]
        for sock in ready:
            data = receive(sock)
            if data:
                send(sides[sock], data)
            elif data == b"":
                say_end(sides[sock])
                if not halves:
                    return
                live.discard(sock)


def relay(sock, context, port, halves):
    plain = None
    try:
        tls = context.wrap_socket(sock, server_side=True)
        sock = tls
        plain = socket.create_connection(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls.setblocking(False)
        plain.setblocking(False)
        pump(tls, plain, halves)
        plain.close()
        sock.close()
    except OSError:
        reset(sock)
        if plain:
            reset(plain)


def main():
    context = make_context(sys.argv[2])
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print("port", listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=relay, args=(sock, context, int(sys.argv[1]), "halves" in sys.argv), daemon=True).start()


main()
