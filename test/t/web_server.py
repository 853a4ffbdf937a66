"""A web server and a bucket that do what a test tells them: web_server.py [PORT],
until its standard input ends.

Prints its ports as JSON: http, and https with a certificate nobody knows. Pages
are those of ../fetcher/server.py and the on_… below; what follows the first
part of a path is a name only. POST /control takes a rule or releases what is
held, GET /control tells what has happened.

The bucket asks for no signature. A rule is for requests whose method and path
match, so many times: "hold" waits before anything is done, "hold_answer" after
it, until there is a release; "status", "close" and "status_after" answer badly.
"""
import hashlib
import json
import os
import struct
import sys
import threading
import time
import urllib.parse
import zlib

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fetcher"))

import server


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(seed, width=32, height=32):
    """Grey, in coarse blocks; other seeds give other pictures."""
    rows = []
    for y in range(height):
        shades = bytes(hashlib.md5(b"%d %d" % (seed, y // 8)).digest()[x // 8 % 16] for x in range(width))
        rows.append(b"\0" + shades)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b""))


class Handler(server.Handler):
    def handle_any(self):
        path, _, query = self.path.partition("?")
        parts = path.strip("/").split("/", 1)
        self.name = urllib.parse.unquote(parts[1]) if len(parts) > 1 else ""
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.body = body
        state = self.server.state
        if parts[0] != "control":
            with state.lock:
                state.seen.append({"method": self.command, "path": self.path, "at": time.time(),
                                   "body": body.decode("latin1") if parts[0] == "hook" else None,
                                   "headers": {k.lower(): v for k, v in self.headers.items()}})
                state.now += 1
                state.most = max(state.most, state.now)
        try:
            if parts[0] == "control" or not state.apply(self, path, "before"):
                getattr(self, "on_" + parts[0].replace("-", "_"))()
            self.wfile.flush()
        except OSError:
            self.close_connection = True
        finally:
            if parts[0] != "control":
                with state.lock:
                    state.now -= 1

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def on_control(self):
        state = self.server.state
        if self.command == "POST":
            told = json.loads(self.body)
            with state.lock:
                if "rule" in told:
                    state.rules.append(dict({"method": "", "path": "", "times": 1}, **told["rule"]))
                if "put" in told:
                    state.objects[told["put"]] = (b"somebody's", {})
                if told.get("forget"):
                    state.seen.clear()
                    state.rules.clear()
                    state.most = state.now
                if told.get("release"):
                    state.releases += 1
                    state.rules.clear()
                    state.lock.notify_all()
        with state.lock:
            self.answer(json.dumps({
                "seen": state.seen, "held": state.held, "now": state.now, "most": state.most,
                "objects": {key: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "headers": headers}
                            for key, (data, headers) in state.objects.items()}}).encode())

    # -------------------------------------------------------------- pictures

    def picture(self):
        self.answer(png(int(self.query.get("n", 1)), int(self.query.get("w", 32)), int(self.query.get("w", 32))),
                    headers=[("Content-Type", "image/png")])

    def on_picture(self):
        if "delay" in self.query:
            time.sleep(int(self.query["delay"]) / 1000)
        self.picture()

    def on_flaky(self):
        """The first times a status, then a picture."""
        state = self.server.state
        with state.lock:
            state.tries[self.name] = state.tries.get(self.name, 0) + 1
            tries = state.tries[self.name]
        if tries > int(self.query["times"]):
            return self.picture()
        self.on_status()

    def on_gather(self):
        """A picture, when so many are asked for at the same time."""
        state = self.server.state
        with state.lock:
            state.gathered += 1
            state.most_gathered = max(state.most_gathered, state.gathered)
            state.lock.notify_all()
            state.lock.wait_for(lambda: state.most_gathered >= int(self.query["of"]), timeout=30)
        self.picture()
        with state.lock:
            state.gathered -= 1

    def on_empty(self):
        self.answer(b"")

    def on_html(self):
        self.answer(b"<!DOCTYPE html><html><title>Not here</title></html>", headers=[("Content-Type", "text/html")])

    def on_guarded(self):
        if self.headers.get("X-Key") == "open sesame":
            return self.picture()
        self.answer(b"no", 403)

    def on_hook(self):
        """Takes callbacks."""
        if not self.server.state.apply(self, self.path, "after"):
            self.answer(b"", 204)

    # ---------------------------------------------------------------- bucket

    def on_bucket(self):
        state = self.server.state
        with state.lock:
            found = state.objects.get(self.name)
            if self.command == "PUT":
                state.objects[self.name] = (self.body, {k.lower(): v for k, v in self.headers.items()
                                                        if k.lower().startswith(("x-amz-meta-", "content-type"))})
            if self.command == "DELETE":
                state.objects.pop(self.name, None)
        if state.apply(self, self.path, "after"):
            return
        if self.command == "PUT":
            self.answer(b"", headers=[("ETag", '"x"')])
        elif self.command == "DELETE":
            self.answer(b"", 204)
        elif found is None:
            self.answer(b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>", 404)
        else:
            self.answer(found[0], headers=list(found[1].items()))


class State:
    def __init__(self):
        self.lock = threading.Condition()
        self.seen, self.rules, self.objects, self.tries = [], [], {}, {}
        self.held = self.releases = self.now = self.most = self.gathered = self.most_gathered = 0

    def apply(self, handler, path, when):
        """True: the request has been answered."""
        with self.lock:
            rule = next((r for r in self.rules if r["times"] > 0 and r["method"] in ("", handler.command) and
                         r["path"] in path and (when == "after") == (r["do"] in ("hold_answer", "status_after"))), None)
            if rule is None:
                return False
            rule["times"] -= 1
            if rule["do"] in ("hold", "hold_answer"):
                releases = self.releases
                self.held += 1
                self.lock.wait_for(lambda: self.releases > releases, timeout=120)
                self.held -= 1
                return False
        if rule["do"] == "close":
            handler.close_connection = True
            return True
        headers = [(k, v) for k, v in rule.get("headers", {}).items()]
        handler.answer(rule.get("body", "").encode(), rule["code"], headers)
        return True


def start(state, tls=None, port=0):
    one = server.Server(tls=tls, port=port)
    one.state = state
    one.RequestHandlerClass = Handler
    return one


def main():
    state = State()
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    print(json.dumps({"http": start(state, port=port).port, "https": start(state, server.tls_context()).port}), flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
