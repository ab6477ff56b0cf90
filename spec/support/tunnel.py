"""WebSocket servers and clients by python3-websockets, for spec/gateway/tunnel_spec.lua.

    tunnel.py serve [CERT KEY]  prints "port N"; echoes messages; "close" closes, "push N" sends N messages
    tunnel.py talk URL N      N text and N binary messages of growing size, both echoed; prints "ok N"
    tunnel.py hold URL COUNT  COUNT connections; prints "open"; for each SIGUSR1 one message on each, and
                              "alive ROUND", or "lost ROUND" and why
    tunnel.py raw             prints "port N"; tunnels of raw bytes by path, see ANSWERS and raw()
"""
import asyncio
import signal
import ssl
import sys

import websockets


async def echo(ws):
    async for message in ws:
        if message == "close":
            await ws.close(4001, "as asked")
        elif isinstance(message, str) and message.startswith("push "):
            for i in range(int(message[5:])):
                await ws.send("pushed %d" % i)
        else:
            await ws.send(message)


def make_context(pair):
    if not pair:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def serve(pair):
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=1 << 24, ping_interval=None,
                                ssl=make_context(pair)) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


def connect(url):
    return websockets.connect(url, max_size=1 << 24, ping_interval=None)


async def talk(url, count):
    async with connect(url) as ws:
        for i in range(count):
            text, blob = "x" * (i * 97), bytes(i % 256 for _ in range(1 << min(i, 20)))
            for message in (text, blob):
                await ws.send(message)
                assert await ws.recv() == message
        await ws.send("push 1000")
        for i in range(1000):
            assert await ws.recv() == "pushed %d" % i
        await ws.ping()
        await ws.send("close")
        try:
            await ws.recv()
        except websockets.ConnectionClosed as closed:
            assert closed.code == 4001, closed
    print("ok", count, flush=True)


async def hold(url, count):
    sockets = [await connect(url) for _ in range(count)]
    rounds = asyncio.Queue()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, rounds.put_nowait, 1)
    print("open", flush=True)
    done = 0
    while True:
        await rounds.get()
        done += 1
        try:
            for ws in sockets:
                await ws.send("round %d" % done)
            for ws in sockets:
                assert await ws.recv() == "round %d" % done
            print("alive", done, flush=True)
        except Exception as error:
            print("lost", done, repr(error), flush=True)


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n"
AGREES = SWITCH + b"Connection: Upgrade\r\nUpgrade: WebSocket\r\n"
ANSWERS = {
    b"/wrong": SWITCH + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"/bare": SWITCH + b"\r\n",
    b"/silent": SWITCH + b"Upgrade: websocket\r\n\r\n",
    b"/twice": AGREES + b"Upgrade: h2c\r\n\r\n",
    b"/framed": AGREES + b"Content-Length: 5\r\n\r\nhello",
    b"/refuse": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
}


async def raw(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            break
        path = head.split(b" ")[1]
        if path in ANSWERS:
            writer.write(ANSWERS[path])
        elif path == b"/head":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(head), head))
        elif path == b"/late":  # tells how much of the tunnel came before it was open
            try:
                early = await asyncio.wait_for(reader.read(1000), 0.3)
            except asyncio.TimeoutError:
                early = b""
            writer.write(AGREES + b"X-Early: %d\r\n\r\n" % len(early))
            break
        elif path == b"/bye":  # speaks and ends at once
            writer.write(AGREES + b"\r\nhello and goodbye")
            writer.close()
            return
        elif path == b"/flood":
            writer.write(AGREES + b"\r\n")
            for _ in range(1024):
                writer.write(bytes(65536))
                await writer.drain()
            writer.close()
            return
        elif path == b"/count":  # counts what comes, and says so after its end
            writer.write(AGREES + b"\r\n")
            total = 0
            while data := await reader.read(65536):
                total += len(data)
            writer.write(b"%d" % total)
            writer.close()
            return
        else:
            writer.write(AGREES + b"X-Mine: yes\r\n\r\n")
            break
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"bye")
        writer.close()
    except ConnectionError:
        pass


async def serve_raw():
    server = await asyncio.start_server(raw, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[2:]))
elif sys.argv[1] == "raw":
    asyncio.run(serve_raw())
elif sys.argv[1] == "talk":
    asyncio.run(talk(sys.argv[2], int(sys.argv[3])))
else:
    asyncio.run(hold(sys.argv[2], int(sys.argv[3])))
