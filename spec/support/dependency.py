#!/usr/bin/env python3
"""Servers that health checks ask: well, ill, hanging, slow and lying ones. Standard library only.

  dependency.py NAME...       prints "port NAME N" for each, then "control N"

Each begins in mode "refuse". The control port takes lines "NAME MODE" and answers with the number of
connections that NAME has had so far, "NAME" alone only asks. Modes:

  refuse      nobody listens                       hang        accepts, reads, says nothing
  close       closes at once                       reset       RST once something was asked
  endless     bytes without end                    drip:TEXT   one byte each 200 ms
  say:TEXT    says TEXT (escapes as in Python) once something was asked
  pong        Redis: "+PONG" to a correct PING, closes otherwise
  postgres:TEXT  PostgreSQL: TEXT to a correct StartupMessage, closes otherwise
"""
import socket
import struct
import sys
import threading
import time

LOCK = threading.Lock()


def escaped(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


def read(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def is_startup(sock):
    length, protocol = struct.unpack("!II", read(sock, 8))
    words = read(sock, length - 8).split(b"\0")
    pairs = dict(zip(words[0::2], words[1::2]))
    return protocol == 196608 and words[-2:] == [b"", b""] and b"user" in pairs and b"database" in pairs


def until_gone(sock):
    while sock.recv(4096):
        pass


class Server:
    def __init__(self, name):
        self.name, self.mode, self.count, self.listener = name, "refuse", 0, None
        # Bound for good and not listening: nobody else takes the port while connections are refused.
        self.held = self.bound(0)
        self.port = self.held.getsockname()[1]

    def set(self, mode):
        with LOCK:
            self.mode = mode
            if mode == "refuse" and self.listener:
                self.listener.shutdown(socket.SHUT_RDWR)
                self.listener.close()
                self.listener = None
            elif mode != "refuse" and not self.listener:
                self.listener = self.bound(self.port)
                self.listener.listen(64)
                threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    @staticmethod
    def bound(port):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", port))
        return sock

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with LOCK:
                self.count += 1
                mode = self.mode
            threading.Thread(target=self.serve, args=(sock, mode), daemon=True).start()

    def serve(self, sock, mode):
        word, _, text = mode.partition(":")
        try:
            if word == "reset":
                sock.recv(1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif word == "close":
                sock.shutdown(socket.SHUT_WR)
                until_gone(sock)
            elif word == "hang":
                until_gone(sock)
            elif word == "endless":
                while True:
                    sock.sendall(b"x" * 4096)
            elif word == "drip":
                for byte in escaped(text):
                    sock.sendall(bytes([byte]))
                    time.sleep(0.2)
            elif word == "say":
                sock.recv(65536)
                sock.sendall(escaped(text))
                until_gone(sock)
            elif word == "pong" and read(sock, 14) == b"*1\r\n$4\r\nPING\r\n":
                sock.sendall(b"+PONG\r\n")
                until_gone(sock)
            elif word == "postgres" and is_startup(sock):
                sock.sendall(escaped(text))
                until_gone(sock)
        except OSError:
            pass
        finally:
            sock.close()


def control(sock, servers):
    for line in sock.makefile():
        name, _, mode = line.rstrip("\n").partition(" ")
        if mode:
            servers[name].set(mode)
        sock.sendall(b"%d\n" % servers[name].count)


def main():
    servers = {name: Server(name) for name in sys.argv[1:]}
    for server in servers.values():
        print("port", server.name, server.port)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    print("control", listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=control, args=(sock, servers), daemon=True).start()


main()
