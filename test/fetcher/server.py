"""A little HTTP server that behaves as it is asked, and badly if it is asked to."""
import http.server
import json
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *arguments):
        pass

    def answer(self, body=b"", status=200, headers=(), length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        path, _, query = self.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            getattr(self, "on_" + path.strip("/").replace("-", "_"))()
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = handle_any

    def on_(self):
        self.answer(b"hello")

    def on_echo(self):
        self.answer(json.dumps({"method": self.command, "headers": {k.lower(): v for k, v in self.headers.items()},
                                "length": len(self.body), "start": self.body[:20].decode("latin1"),
                                "end": self.body[-20:].decode("latin1")}).encode())

    def on_bytes(self):
        self.answer(pattern(int(self.query["n"])), headers=[("Content-Type", "image/png"), ("ETag", '"x"')])

    def on_chunked(self):
        """No Content-Length; n bytes, or without end."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        at, length = 0, int(self.query.get("n", 1 << 30))
        while at < length:
            piece = pattern(min(length - at, 60000), at)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            at += len(piece)
        self.wfile.write(b"0\r\n\r\n")

    def on_until_close(self):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + pattern(int(self.query["n"])))

    def on_status(self):
        headers = [("Retry-After", self.query["after"])] if "after" in self.query else []
        self.answer(b"<Error><Code>SlowDown</Code></Error>", int(self.query["code"]), headers)

    def on_redirect(self):
        self.answer(b"moved " * 10, int(self.query.get("status", 302)), [("Location", self.query["to"])])

    def on_loop(self):
        self.answer(b"", 302, [("Location", "/loop?%d" % time.monotonic_ns())])

    def on_never(self):
        """No answer until the server ends."""
        self.close_connection = True
        self.server.over.wait(60)

    def on_drip(self):
        """A byte each 50 ms."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.server.over.wait(0.05):
            self.wfile.write(b".")
            self.wfile.flush()

    def on_broken(self):
        """Fewer bytes than announced."""
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")

    def on_broken_chunk(self):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\nonly this")

    def on_gone(self):
        self.close_connection = True

    def on_nonsense(self):
        self.close_connection = True
        self.wfile.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")

    def on_negative(self):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello")

    def on_headers(self):
        """So many headers of such a length; 0: without end."""
        count, length = int(self.query["count"]), int(self.query["length"])
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
        number = 0
        while number < count or count == 0:
            number += 1
            self.wfile.write(b"X-%d: %s\r\n" % (number, b"v" * length))
        self.wfile.write(b"\r\n")

    def on_early(self):
        """103 before 200, which must not mix."""
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                         b"HTTP/1.1 200 OK\r\nX-Odd:  spaces  \r\nX-Empty:\r\nContent-Length: 2\r\n\r\nok")

    def on_meet(self):
        """Answers when n requests have come."""
        with self.server.meeting:
            self.server.met += 1
            self.server.most = max(self.server.most, self.server.met)
            self.server.meeting.notify_all()
            self.server.meeting.wait_for(lambda: self.server.most >= int(self.query["n"]), timeout=15)
        self.answer(b"all here")
        with self.server.meeting:
            self.server.met -= 1


def pattern(length, start=0):
    unit = bytes(range(256)) + b"imgapi"
    start %= len(unit)
    return (unit * (length // len(unit) + 2))[start:start + length]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, host="127.0.0.1", tls=None, port=0):
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server_address[1]
        self.seen = []
        self.over = threading.Event()
        self.meeting = threading.Condition()
        self.met = self.most = 0
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def url(self, path="/", host="127.0.0.1", scheme="http"):
        return "%s://%s:%d%s" % (scheme, host, self.port, path)

    def handle_error(self, *arguments):
        pass

    def close(self):
        self.over.set()
        self.shutdown()
        self.server_close()


_shared = None


def shared():
    global _shared
    if _shared is None:
        _shared = Server()
    return _shared


_certificates = None


def certificates():
    """A directory with ca.pem and server.pem (localhost, 127.0.0.1) signed by it."""
    global _certificates
    if _certificates is None:
        _certificates = tempfile.TemporaryDirectory()
        for arguments in (
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=imgapi-test-ca -keyout ca.key -out ca.pem",
                "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
                "x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names "
                "-out server.crt"):
            with open(os.path.join(_certificates.name, "names"), "w") as file:
                file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            subprocess.run(["openssl", *arguments.split()], cwd=_certificates.name, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return _certificates.name


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(certificates(), "server.crt"), os.path.join(certificates(), "server.key"))
    return context
