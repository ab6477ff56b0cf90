"""A TLS client that does as it is told: one JSON object on the command line, one on stdout.

    {"do": "get", "port": 8443, "sni": "a.example", "ca": "root.pem", "path": "/x"}

Common members: port, sni, ca (none: any certificate is taken), cert, key, max_version, ciphers,
alpn (a list), host, path, headers (an object), preface (hexadecimal: sent in the clear
before the handshake). What each `do` answers is said at its function.
"""
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time

LIMIT = 20


def context(o):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if "ca" in o:
        c.load_verify_locations(o["ca"])
        c.verify_mode = ssl.CERT_REQUIRED
        c.check_hostname = o.get("check_name", True)
    if "cert" in o:
        c.load_cert_chain(o["cert"], o["key"])
    if o.get("max_version") == "1.2":
        c.maximum_version = ssl.TLSVersion.TLSv1_2
    if o.get("max_version") == "1.1":
        c.minimum_version = ssl.TLSVersion.TLSv1
        c.maximum_version = ssl.TLSVersion.TLSv1_1
        c.set_ciphers("ALL:@SECLEVEL=0")
    if "ciphers" in o:
        c.set_ciphers(o["ciphers"])
    if "alpn" in o:
        c.set_alpn_protocols(o["alpn"])
    return c


def connect(o, c=None, session=None):
    raw = socket.socket()
    raw.settimeout(LIMIT)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if "receive_buffer" in o:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, o["receive_buffer"])
    raw.connect(("127.0.0.1", o["port"]))
    raw.sendall(bytes.fromhex(o.get("preface", "")))
    s = (c or context(o)).wrap_socket(raw, server_hostname=o.get("sni"), session=session,
                                      do_handshake_on_connect=False)
    try:
        s.do_handshake()
    except (ssl.SSLError, OSError):
        # Closing with bytes unread would be a reset, which may overtake our alert.
        raw = socket.socket(fileno=s.detach())
        raw.settimeout(LIMIT)
        try:
            while raw.recv(65536):
                pass
        except OSError:
            pass
        raise
    return s


def head(o, method="GET", extra=""):
    lines = ["%s %s HTTP/1.1" % (method, o.get("path", "/")),
             "Host: %s" % o.get("host", o.get("sni", "gateway.test"))]
    lines += ["%s: %s" % pair for pair in o.get("headers", {}).items()]
    return ("\r\n".join(lines) + "\r\n" + extra + "\r\n").encode()


def response(s, slowly=False):
    r = http.client.HTTPResponse(s)
    r.begin()
    size, pieces = 0, []
    while True:
        piece = r.read(65536)
        if not piece:
            break
        size += len(piece)
        if size <= 65536:
            pieces.append(piece)
        if slowly:
            time.sleep(0.0002)
    return {"status": r.status, "headers": {k.lower(): v for k, v in r.getheaders()},
            "body": b"".join(pieces).decode("latin-1"), "size": size}


def serial(s):
    der = s.getpeercert(True)
    path = "/tmp/weir-spec-%d.der" % os.getpid()
    with open(path, "wb") as f:
        f.write(ssl.DER_cert_to_PEM_cert(der).encode())
    try:
        return ssl._ssl._test_decode_cert(path)["serialNumber"]
    finally:
        os.remove(path)


def facts(s):
    return {"version": s.version(), "cipher": s.cipher()[0], "alpn": s.selected_alpn_protocol(),
            "serial": serial(s), "resumed": s.session_reused}


def get(o):
    """One request; its answer, and what is known of the connection."""
    s = connect(o)
    s.sendall(head(o))
    answer = response(s, o.get("slowly", False))
    answer.update(facts(s))
    s.close()
    return answer


def resume(o):
    """`times` connections with the session of the first: how many were resumed."""
    c = context(o)
    s = connect(o, c)
    s.sendall(head(o))
    answer = response(s)
    session = s.session
    s.close()
    marker = o.get("wait_for")
    if marker:
        print("waiting", flush=True)
    while marker and not os.path.exists(marker):
        time.sleep(0.02)
    resumed = []
    o["port"] = o.get("then_port", o["port"])
    for _ in range(o["times"]):
        s = connect(o, c, session)
        s.sendall(head(o))
        answer = response(s)
        resumed.append(s.session_reused)
        if o.get("chain"):
            session = s.session
        s.close()
    return {"resumed": sum(resumed), "status": answer["status"], "body": answer["body"]}


def stale(o):
    """Waits until a session that resumed at first is not resumed any more."""
    c = context(o)
    s = connect(o, c)
    s.sendall(head(o))
    response(s)
    session = s.session
    s.close()
    end = time.time() + LIMIT
    while time.time() < end:
        s = connect(o, c, session)
        reused = s.session_reused
        s.close()
        if not reused:
            return {"stale": True}
        time.sleep(0.05)
    return {"stale": False}


def load(o):
    """Requests on kept and on new connections until the file `until` is there: how many failed (a
    kept connection that ends, unless that `may_close` with an answer that says so),
    how often a kept connection had to be made anew, and which certificates were served."""
    failures, counts, serials = [], [0, 0], set()

    def kept():
        s = connect(o)
        while not os.path.exists(o["until"]):
            s.sendall(head(o))
            answer = response(s)
            if answer["status"] != 200:
                raise RuntimeError("status")
            counts[0] += 1
            if o.get("may_close") and answer["headers"].get("connection") == "close":
                s.close()
                s = connect(o)
        s.close()

    def fresh():
        while not os.path.exists(o["until"]):
            s = connect(o)
            der = s.getpeercert(True)
            if der not in serial_of:
                serial_of[der] = serial(s)
            serials.add(serial_of[der])
            s.sendall(head(o))
            if response(s)["status"] != 200:
                raise RuntimeError("status")
            counts[1] += 1
            s.close()

    serial_of = {}

    def guarded(work):
        try:
            work()
        except Exception as e:  # whatever it is, it is what the spec wants to know
            failures.append("%s: %r" % (work.__name__, e))

    threads = [threading.Thread(target=guarded, args=(w,)) for w in (kept, kept, fresh)]
    for t in threads:
        t.start()
    print("running", flush=True)
    for t in threads:
        t.join()
    return {"failures": failures, "kept": counts[0], "fresh": counts[1],
            "serials": sorted(serials)}


def upload(o):
    """A POST of `size` bytes in pieces; its answer."""
    s = connect(o)
    s.sendall(head(o, "POST", "Content-Length: %d\r\n" % o["size"]))
    left = o["size"]
    piece = b"u" * 50000
    while left > 0:
        n = min(left, len(piece))
        s.sendall(piece[:n])
        left -= n
    answer = response(s)
    s.close()
    return answer


def half_close(o):
    """Sends a request and close_notify, and reads on: what came until the end."""
    s = connect(o)
    s.sendall(head(o))
    s.settimeout(LIMIT)
    got = b""
    try:
        s.unwrap()
    except (ssl.SSLError, OSError) as e:
        got = repr(e).encode()
    return {"got": got.decode("latin-1")}


def cut(o):
    """Sends a request and then FIN, without close_notify."""
    s = connect(o)
    s.sendall(head(o))
    raw = socket.socket(fileno=s.detach())
    raw.shutdown(socket.SHUT_WR)
    raw.settimeout(LIMIT)
    left = b"x"
    while left:
        try:
            left = raw.recv(65536)
        except ConnectionResetError:
            break
    return {"closed": True}


def ending(o):
    """Reads a response to its end and then the connection's: in good order?"""
    s = connect(o)
    s.sendall(head(o))
    answer = response(s)
    try:
        answer["ended"] = "close_notify" if s.recv(10) == b"" else "bytes"
    except ssl.SSLError as e:
        answer["ended"] = e.reason
    return answer


def idle(o):
    """Opens `count` connections, one request each, and keeps them until `until` is there."""
    c = context(o)
    all_of_them = []
    for _ in range(o["count"]):
        s = connect(o, c)
        s.sendall(head(o))
        response(s)
        all_of_them.append(s)
    print("open", flush=True)
    while not os.path.exists(o["until"]):
        time.sleep(0.02)
    return {"count": len(all_of_them)}


def main():
    o = json.loads(sys.argv[1])
    try:
        answer = globals()[o["do"]](o)
    except (ssl.SSLError, OSError) as e:
        answer = {"error": getattr(e, "reason", None) or repr(e)}
    print(json.dumps(answer))


main()
