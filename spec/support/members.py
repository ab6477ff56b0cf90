#!/usr/bin/env python3
"""Well-behaved endpoints on 127.0.0.1, 127.0.0.2, …, all on one port, each doing what it is told.

  members.py N         prints "port P", "control C"

Every request is answered with the member's letter (a, b, …) as its body. `PUT /set/LETTER` on the
control port takes JSON: {"status": 503, "share": 0.3 of the requests get it, "delay": ms before an
answer, "healthy": false: /healthz gets 503}; what is left out is as at the start. `GET /counts`
there is JSON: requests by letter since the last time, checks not counted.
"""
import asyncio
import json
import random
import socket
import sys

PLAIN = {"status": 200, "share": 1, "delay": 0, "healthy": True}


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return method, target, await reader.readexactly(length)


def response(status, body):
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class Members:
    def __init__(self, count):
        self.state = {chr(97 + i): dict(PLAIN) for i in range(count)}
        self.counts = {}

    async def answer(self, letter, target):
        state = self.state[letter]
        if target == "/healthz":
            return response(200 if state["healthy"] else 503, letter)
        self.counts[letter] = self.counts.get(letter, 0) + 1
        if state["delay"]:
            await asyncio.sleep(state["delay"] / 1000)
        status = state["status"] if random.random() < state["share"] else 200
        return response(status, letter)

    async def control(self, method, target, body):
        if method == "PUT":
            self.state[target.split("/")[2]] = {**PLAIN, **json.loads(body)}
            return response(200, "ok")
        counts, self.counts = self.counts, {}
        return response(200, json.dumps(counts))

    def handler(self, letter):
        async def handle(reader, writer):
            try:
                while True:
                    method, target, body = await read_request(reader)
                    if letter is None:
                        writer.write(await self.control(method, target, body))
                    else:
                        writer.write(await self.answer(letter, target))
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
        return handle


def bind_all(count):
    while True:
        sockets, port = [], 0
        try:
            for i in range(count):
                s = socket.socket()
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sockets.append(s)
                s.bind((f"127.0.0.{i + 1}", port))
                port = s.getsockname()[1]
            return sockets
        except OSError:
            for s in sockets:
                s.close()


async def main():
    sockets = bind_all(int(sys.argv[1]))
    members = Members(len(sockets))
    for i, s in enumerate(sockets):
        await asyncio.start_server(members.handler(chr(97 + i)), sock=s)
    control = await asyncio.start_server(members.handler(None), "127.0.0.1", 0)
    print("port", sockets[0].getsockname()[1], flush=True)
    print("control", control.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
