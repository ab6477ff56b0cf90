#!/usr/bin/env python3
"""An HTTP/2 server that does what its requests ask for (python3-h2).

  h2_origin.py [--streams N] [--unix PATH] [--proxied]      prints "port N"
               [--tls CERT KEY [--alpn NAME…] [--client-ca PEM] [--versions 1.1|1.2|1.3]]

With --streams it allows so many at once on a connection. Over TLS it chooses h2, or what --alpn says (nothing:
""). A target says what happens when its request is
whole, or with `early` as the first step when its head has come:

  /run?STEP;STEP…  with percent-encoded steps:
      head:STATUS[,NAME=VALUE…]   a response's head, as it is, valid or not
      data:TEXT / zeros:N         a piece of body, N bytes of it
      trailers:NAME=VALUE         ends the stream with it
      end                         ends the stream
      reset:CODE                  resets it
      goaway:LAST                 says that streams above LAST are not processed, and closes
      close                       closes the connection
      hang                        nothing more
  /once?STEP;…     the same for the first request, 200 for all after it
  /ok              200 with JSON: fields in order, body size, connection, stream, PROXY header; over TLS
                   version, cipher, server name asked for, whether it is resumed, the client's subject
  /counts          200 with JSON: connections, requests by method, codes of resets, most streams at once
"""
import argparse
import json
import os
import socket
import ssl
import threading
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

LOCK = threading.Lock()
STATE = {"connections": 0, "methods": {}, "resets": [], "most": 0}
ONCE = set()


class Closed(Exception):
    pass


class Stream:
    def __init__(self, headers):
        self.headers, self.size = headers, 0
        self.target = dict(headers)[":path"]
        self.out, self.waits_for_end, self.trailers = b"", False, None


class Connection:
    def __init__(self, sock, number, options):
        self.sock, self.number, self.streams = sock, number, {}
        self.preamble = self.read_preamble() if options.proxied else b""
        self.tls = self.shake_hands(options.context) if options.context else {}
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8",
                                           validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        if options.streams:
            self.h2.update_settings(
                {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: options.streams})
        self.flush()

    def read_preamble(self):
        data = b""
        while not data.endswith(b"\r\n"):
            data += self.sock.recv(1)
        return data

    def shake_hands(self, context):
        self.sock = context.wrap_socket(self.sock, server_side=True)
        subject = [v for rdn in (self.sock.getpeercert() or {}).get("subject", ()) for _, v in rdn]
        return {"version": self.sock.version(), "cipher": self.sock.cipher()[0],
                "name": getattr(self.sock, "asked_for", None),
                "resumed": self.sock.session_reused, "client": subject}

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def serve(self):
        while True:
            data = self.sock.recv(65536)
            if not data:
                return
            for event in self.h2.receive_data(data):
                self.handle(event)
            self.flush()

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.begin(event)
        elif isinstance(event, h2.events.DataReceived):
            self.streams[event.stream_id].size += len(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.answer(event.stream_id, False)
        elif isinstance(event, h2.events.StreamReset):
            self.streams.pop(event.stream_id, None)
            with LOCK:
                STATE["resets"].append(int(event.error_code))
        elif isinstance(event, h2.events.WindowUpdated):
            for id in list(self.streams) if event.stream_id == 0 else [event.stream_id]:
                self.pump(id)

    def begin(self, event):
        stream = Stream(event.headers)
        self.streams[event.stream_id] = stream
        method = dict(event.headers)[":method"]
        with LOCK:
            STATE["methods"][method] = STATE["methods"].get(method, 0) + 1
            STATE["most"] = max(STATE["most"], len(self.streams))
        if "?early" in stream.target:
            self.answer(event.stream_id, True)

    def answer(self, id, is_early):
        stream = self.streams.get(id)
        if stream is None or ("?early" in stream.target) != is_early:
            return
        path, _, script = stream.target.partition("?")
        if path == "/once":
            with LOCK:
                is_again, _ = script in ONCE, ONCE.add(script)
            path = "/plain" if is_again else "/run"
        if path == "/run":
            for step in script.split(";"):
                name, _, value = unquote(step).partition(":")
                if name != "early":
                    getattr(self, "step_" + name)(id, value)
            return
        with LOCK:
            body = STATE if path == "/counts" else {
                "head": stream.headers, "body_bytes": stream.size, "connection": self.number,
                "stream": id, "preamble": self.preamble.hex(), **self.tls}
            text = json.dumps(body)
        self.step_head(id, "200")
        self.step_data(id, text)
        self.step_end(id, "")

    # Steps.

    def step_head(self, id, value):
        status, *fields = value.split(",")
        self.h2.send_headers(id, [(":status", status)] + [tuple(f.split("=", 1)) for f in fields])

    def step_only(self, id, value):
        status, *fields = value.split(",")
        self.h2.send_headers(id, [(":status", status)] + [tuple(f.split("=", 1)) for f in fields],
                             end_stream=True)

    def step_data(self, id, value):
        self.streams[id].out += value.encode("latin-1")
        self.pump(id)

    def step_zeros(self, id, value):
        self.streams[id].out += bytes(int(value))
        self.pump(id)

    def step_trailers(self, id, value):
        self.streams[id].trailers = [tuple(value.split("=", 1))]
        self.step_end(id, "")

    def step_end(self, id, value):
        self.streams[id].waits_for_end = True
        self.pump(id)

    def step_reset(self, id, value):
        self.flush()
        self.h2.reset_stream(id, int(value))
        self.streams.pop(id, None)

    def step_goaway(self, id, value):
        self.h2.close_connection(last_stream_id=int(value))
        self.step_close(id, "")

    def step_close(self, id, value):
        self.flush()
        raise Closed

    def step_hang(self, id, value):
        pass

    def pump(self, id):
        stream = self.streams.get(id)
        while stream and stream.out:
            room = min(self.h2.local_flow_control_window(id), self.h2.max_outbound_frame_size)
            if room <= 0:
                return
            self.h2.send_data(id, stream.out[:room])
            stream.out = stream.out[room:]
            self.flush()
        if stream and stream.waits_for_end:
            self.streams.pop(id)
            if stream.trailers:
                self.h2.send_headers(id, stream.trailers, end_stream=True)
            else:
                self.h2.end_stream(id)


def serve(sock, number, options):
    connection = None
    try:
        connection = Connection.__new__(Connection)
        connection.__init__(sock, number, options)
        connection.serve()
    except (Closed, OSError, h2.exceptions.ProtocolError):
        pass
    finally:
        connection.sock.close()
        sock.close()


VERSIONS = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def make_context(options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*options.tls)
    if options.versions:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = VERSIONS[options.versions]
    if options.alpn != [""]:
        context.set_alpn_protocols(options.alpn)
    if options.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(options.client_ca)
    context.sni_callback = lambda sock, name, _: setattr(sock, "asked_for", name)
    return context


def accept(listener, options):
    while True:
        sock, _ = listener.accept()
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with LOCK:
            STATE["connections"] += 1
            number = STATE["connections"]
        threading.Thread(target=serve, args=(sock, number, options), daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int)
    parser.add_argument("--unix")
    parser.add_argument("--proxied", action="store_true")
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--alpn", nargs="*", default=["h2"])
    parser.add_argument("--client-ca")
    parser.add_argument("--versions")
    options = parser.parse_args()
    options.context = make_context(options) if options.tls else None
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024),
                 socket.socket(socket.AF_UNIX)]
    if options.unix:
        listeners[1].bind(options.unix)
        listeners[1].listen(1024)
        threading.Thread(target=accept, args=(listeners[1], options), daemon=True).start()
    print("port", listeners[0].getsockname()[1], flush=True)
    accept(listeners[0], options)


main()
