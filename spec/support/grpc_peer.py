#!/usr/bin/env python3
"""A gRPC server and client (python3-grpcio), messages being bytes.

  grpc_peer.py serve [CERT KEY]              prints "port N"; over TLS with a certificate
  grpc_peer.py call PORT CASE…               one JSON line for each case, in order; PORT is weir's
  grpc_peer.py call --tls CA NAME PORT CASE…

Methods of the service /spec.Echo: Unary, Down (as many messages as the request says), Up (their number
and size), Both (each message back at once), Fail (the status and text of the request, "5 not here"),
Late (fails after two messages), Early (fails before it has read one), Left (milliseconds until the
deadline), Hang (until cancelled; Cancelled tells how many were). Metadata "x-ask" comes back as initial metadata "x-told" and trailing "x-end".

Cases: unary=TEXT  big=BYTES  down=N  up=N  both=N  fail=STATUS  late  early  left=SECONDS  hang=SECONDS
       cancelled=N (waits until N calls of Hang were cancelled)  at=SERVICE/METHOD (a unary call there)
"""
import concurrent.futures
import json
import sys
import threading
import time

import grpc


def tell(context):
    asked = dict(context.invocation_metadata()).get("x-ask", "nothing")
    context.send_initial_metadata((("x-told", asked),))
    context.set_trailing_metadata((("x-end", asked), ("x-bytes-bin", b"\0\1\xff")))


class Echo:
    def __init__(self):
        self.cancelled = 0
        self.changed = threading.Condition()

    def unary(self, request, context):
        tell(context)
        return request

    def down(self, request, context):
        tell(context)
        for i in range(int(request)):
            yield b"message %d" % i

    def up(self, requests, context):
        tell(context)
        sizes = [len(one) for one in requests]
        return b"%d %d" % (len(sizes), sum(sizes))

    def both(self, requests, context):
        tell(context)
        yield from requests

    def fail(self, request, context):
        code, text = request.decode().split(" ", 1)
        status = [one for one in grpc.StatusCode if one.value[0] == int(code)][0]
        context.abort(status, text)

    def late(self, request, context):
        yield b"one"
        yield b"two"
        context.abort(grpc.StatusCode.DATA_LOSS, "there is no more")

    def early(self, requests, context):
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    def left(self, request, context):
        left = context.time_remaining()
        return b"none" if left is None else b"%d" % (left * 1000)

    def hang(self, request, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(60)
        with self.changed:
            self.cancelled += 1
            self.changed.notify_all()
        return b""

    def count(self, request, context):
        with self.changed:
            self.changed.wait_for(lambda: self.cancelled >= int(request), 30)
            return b"%d" % self.cancelled


def handlers(echo):
    one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    return {"Unary": one(echo.unary), "Down": many(echo.down),
            "Up": grpc.stream_unary_rpc_method_handler(echo.up),
            "Both": grpc.stream_stream_rpc_method_handler(echo.both), "Fail": one(echo.fail),
            "Early": grpc.stream_unary_rpc_method_handler(echo.early), "Late": many(echo.late), "Left": one(echo.left), "Hang": one(echo.hang),
            "Cancelled": one(echo.count)}


def serve(pair):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
    service = grpc.method_handlers_generic_handler("spec.Echo", handlers(Echo()))
    server.add_generic_rpc_handlers((service,))
    if pair:
        cert, key = (open(path, "rb").read() for path in pair)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(((key, cert),)))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("port", port, flush=True)
    server.wait_for_termination()


def metadata_of(pairs):
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in pairs or ()
            if key.startswith("x-")}


class Client:
    def __init__(self, channel):
        self.channel = channel

    def one(self, name, request, timeout=20):
        call = self.channel.unary_unary("/spec.Echo/" + name)
        reply, state = call.with_call(request, timeout=timeout, metadata=(("x-ask", "me"),))
        return reply, state

    def stream(self, shape, name, request, timeout=20):
        call = getattr(self.channel, shape)("/spec.Echo/" + name)
        return call(request, timeout=timeout, metadata=(("x-ask", "me"),))

    def run_unary(self, text):
        reply, state = self.one("Unary", text.encode())
        return {"reply": reply.decode(), "initial": metadata_of(state.initial_metadata()),
                "trailing": metadata_of(state.trailing_metadata())}

    def run_at(self, path):
        call = self.channel.unary_unary("/" + path)
        reply, state = call.with_call(b"ask", timeout=20)
        return {"reply": reply.decode(), "trailing": metadata_of(state.trailing_metadata())}

    def run_big(self, size):
        body = bytes(range(256)) * (int(size) // 256)
        return {"same": self.one("Unary", body)[0] == body}

    def run_down(self, count):
        call = self.stream("unary_stream", "Down", count.encode())
        replies = list(call)
        return {"count": len(replies), "last": replies[-1].decode() if replies else None,
                "trailing": metadata_of(call.trailing_metadata())}

    def run_up(self, count):
        call = self.channel.stream_unary("/spec.Echo/Up")
        return {"reply": call((b"x" * i for i in range(int(count))), timeout=20).decode()}

    def run_both(self, count):
        # The next message is sent when the one before has come back.
        turn = threading.Semaphore(1)

        def requests():
            for i in range(int(count)):
                turn.acquire()
                yield b"%d" % i

        replies = []
        for reply in self.stream("stream_stream", "Both", requests()):
            replies.append(int(reply))
            turn.release()
        return {"in_order": replies == list(range(int(count)))}

    def run_fail(self, status):
        return {"reply": self.one("Fail", status.encode())[0].decode()}

    def run_late(self, _):
        got = []
        try:
            for reply in self.stream("unary_stream", "Late", b""):
                got.append(reply.decode())
        except grpc.RpcError as error:
            return {"got": got, "code": error.code().name, "details": error.details()}
        return {"got": got}

    def run_early(self, _):
        # Messages go on until the call is over.
        over = threading.Event()

        def requests():
            while not over.wait(0.01):
                yield b"x" * 1000

        call = self.channel.stream_unary("/spec.Echo/Early")
        try:
            return {"reply": call(requests(), timeout=20).decode()}
        finally:
            over.set()

    def run_left(self, seconds):
        return {"left": self.one("Left", b"", timeout=float(seconds) or None)[0].decode()}

    def run_hang(self, seconds):
        return {"reply": self.one("Hang", b"", timeout=float(seconds))[0].decode()}

    def run_cancelled(self, count):
        return {"count": int(self.one("Cancelled", count.encode(), timeout=40)[0])}


def run(client, case):
    name, _, value = case.partition("=")
    started = time.monotonic()
    try:
        result = getattr(client, "run_" + name)(value)
    except grpc.RpcError as error:
        result = {"code": error.code().name, "details": error.details(),
                  "trailing": metadata_of(error.trailing_metadata())}
    result["ms"] = (time.monotonic() - started) * 1000
    return result


def call(words):
    options = (("grpc.enable_http_proxy", 0),)
    if words[0] == "--tls":
        credentials = grpc.ssl_channel_credentials(open(words[1], "rb").read())
        options += (("grpc.ssl_target_name_override", words[2]),)
        channel = grpc.secure_channel("127.0.0.1:" + words[3], credentials, options)
        cases = words[4:]
    else:
        channel = grpc.insecure_channel("127.0.0.1:" + words[0], options)
        cases = words[1:]
    with channel:
        client = Client(channel)
        for case in cases:
            print(json.dumps(run(client, case)), flush=True)


if sys.argv[1] == "serve":
    serve(sys.argv[2:])
else:
    call(sys.argv[2:])
