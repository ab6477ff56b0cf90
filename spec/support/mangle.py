#!/usr/bin/env python3
"""Spoils what a server says: mangle.py PORT SEED; prints "port N". Bytes go both ways as they are, but from
PORT in pieces of any size, and of most connections one byte of the first 3,000 is changed, left out, or
the last."""
import random
import socket
import sys
import threading


def forward(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def spoil(source, sink, rng):
    how, at, seen = rng.choice(["change", "drop", "cut", "nothing"]), rng.randrange(3000), 0
    try:
        while data := source.recv(rng.choice([1, 5, 100, 65536])):
            place = at - seen
            seen += len(data)
            if how != "nothing" and 0 <= place < len(data):
                byte = {"change": bytes([data[place] ^ (1 << rng.randrange(8))]), "drop": b""}
                sink.sendall(data[:place] + byte.get(how, b""))
                if how == "cut":
                    break
                data = data[place + 1:]
            sink.sendall(data)
    except OSError:
        pass
    for sock in (source, sink):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()


def main():
    rng = random.Random(int(sys.argv[2]))
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print("port", listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        one = random.Random(rng.random())
        threading.Thread(target=forward, args=(client, server), daemon=True).start()
        threading.Thread(target=spoil, args=(server, client, one), daemon=True).start()


main()
