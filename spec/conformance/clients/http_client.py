"""Python's http.client through weir: http_client.py PORT; prints "fine" or raises."""
import http.client
import json
import sys


def pieces():
    for i in range(50):
        yield b"%04d" % i * 1000


def ask(conn, method, path, **more):
    conn.request(method, path, **more)
    response = conn.getresponse()
    return response, response.read()


def main():
    conn = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
    conn.connect()
    sock = conn.sock
    for i in range(20):
        response, body = ask(conn, "GET", "/ok?%d" % i)
        assert response.status == 200 and json.loads(body)["head"].startswith("GET /ok?%d " % i), body
    response, body = ask(conn, "POST", "/ok", body=b"x" * 100000)
    assert json.loads(body)["body_bytes"] == 100000, body
    response, body = ask(conn, "PUT", "/ok", body=pieces(), encode_chunked=True,
                         headers={"Transfer-Encoding": "chunked"})
    assert json.loads(body)["body_bytes"] == 200000, body
    response, body = ask(conn, "HEAD", "/ok")
    assert response.status == 200 and body == b"" and int(response.headers["Content-Length"]) > 0
    response, body = ask(conn, "DELETE", "/ok")
    assert json.loads(body)["head"].startswith("DELETE /ok "), body
    response, body = ask(conn, "OPTIONS", "*")
    assert response.status == 204 and "GET" in response.headers["Allow"]
    response, body = ask(conn, "GET", "/none")
    assert response.status == 404, response.status
    assert conn.sock is sock, "the connection was not kept"
    response, body = ask(conn, "GET", "/ok", headers={"Connection": "close"})
    assert response.status == 200 and conn.sock is None
    print("fine")


main()
