"""An https upstream: `tls_origin.py CERT KEY [CLIENT_CA]` prints its port and answers every request
with the client's subject, the server name asked for, and the field Client-Cert."""
import http.server
import json
import socket
import ssl
import sys


def drain(raw):
    # Closing with bytes unread would be a reset, which may overtake our alert.
    raw.settimeout(20)
    try:
        while raw.recv(65536):
            pass
    except OSError:
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        peer = self.connection.getpeercert() or {}
        subject = [v for rdn in peer.get("subject", ()) for k, v in rdn if k == "commonName"]
        body = json.dumps({"client": subject[0] if subject else None,
                           "name": getattr(self.connection, "asked_for", None),
                           "certificate": self.headers.get("Client-Cert"),
                           "proto": self.headers.get("X-Forwarded-Proto")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, address):
        request.settimeout(20)
        request = self.context.wrap_socket(request, server_side=True,
                                           do_handshake_on_connect=False)
        try:
            request.do_handshake()
        except (ssl.SSLError, OSError):
            drain(socket.socket(fileno=request.detach()))
            return
        super().finish_request(request, address)

    def handle_error(self, request, address):
        pass


def note_name(sock, name, context):
    sock.asked_for = name


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
context.sni_callback = note_name
if len(sys.argv) > 3:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(sys.argv[3])
server = Server(("127.0.0.1", 0), Handler)
server.context = context
print("port %d" % server.server_port, flush=True)
server.serve_forever()
