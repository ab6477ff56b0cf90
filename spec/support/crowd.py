#!/usr/bin/env python3
"""Many clients that only hold on to their connections: crowd.py PORT MODE COUNT

MODE: idle     sends nothing
      trickle  a head, a byte each 300 ms, never its end
      body     a POST whose body comes a byte each 300 ms
      unread   asks for /large and never reads
      keep     one request for /small, then nothing

Prints "held open N closed N answered N" when all that can be connected are, then "now …" each 300 ms.
Goes on until it is ended.
"""
import os
import selectors
import socket
import sys
import time

HEADS = {
    "idle": b"",
    "trickle": b"GET /small HTTP/1.1\r\nHost: a\r\nX-Trickle: ",
    "body": b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
    "unread": b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
    "keep": b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n",
}


class Crowd:
    def __init__(self, port, mode):
        self.port, self.mode = port, mode
        self.poll = selectors.DefaultSelector()
        self.socks, self.closed, self.answered = set(), 0, 0

    def join(self):
        sock = socket.socket()
        if self.mode == "unread":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(30)
        try:
            sock.connect(("127.0.0.1", self.port))
            sock.sendall(HEADS[self.mode])
        except OSError:
            sock.close()
            self.closed += 1
            return
        sock.setblocking(False)
        self.socks.add(sock)
        if self.mode != "unread":
            self.poll.register(sock, selectors.EVENT_READ)

    def leave(self, sock):
        if self.mode != "unread":
            self.poll.unregister(sock)
        self.socks.discard(sock)
        sock.close()
        self.closed += 1

    def listen(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for key, _ in self.poll.select(max(0, until - time.monotonic())):
                try:
                    data = key.fileobj.recv(65536)
                except OSError:
                    data = b""
                if not data:
                    self.leave(key.fileobj)
                elif data.startswith(b"HTTP/1.1 200"):
                    self.answered += 1

    def trickle(self):
        if self.mode not in ("trickle", "body"):
            return
        for sock in list(self.socks):
            try:
                sock.send(b"x")
            except BlockingIOError:
                pass
            except OSError:
                self.leave(sock)

    def tell(self, word):
        print(word, "open", len(self.socks), "closed", self.closed, "answered", self.answered, flush=True)


def main():
    crowd = Crowd(int(sys.argv[1]), sys.argv[2])
    for i in range(int(sys.argv[3])):
        crowd.join()
        if i % 256 == 255:
            crowd.listen(0.001)
    crowd.tell("held")
    while os.getppid() != 1:
        crowd.listen(0.3)
        crowd.trickle()
        crowd.tell("now")


main()
