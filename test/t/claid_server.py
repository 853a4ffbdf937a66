#!/usr/bin/python3
"""A server that speaks Claid's API as far as its contract says, and strictly.

It prints one line of JSON, {"port": N}, and then serves. What it does beside
the contract it is told by POST /control with {"rule": {...}}:

    call        submit, poll or download: which requests the rule is for
    times       how many of them; else all
    status      answer with that status, with headers and body (any JSON, or text)
    hold        true: do not act, and do not answer before {"release": true}
    act         with hold, drop or status: act first
    drop        true: close the connection without an answer
    say         body of a success instead of what it should be
    task        status of tasks that a poll tells, instead of going on to DONE

and answers with what it has seen: {"submits": accepted ones, "held": N}; to {}
also with "calls", with the beginning of their bodies, "problems" and more.
"""
import base64
import http.server
import json
import re
import socket
import sys
import threading
import time
import uuid

KEY = "the secret key"
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAIAAADwyuo0AAAAEElEQVR4nGPgOiEHRwzIHABg+geB3JBMbQAAAABJRU5ErkJggg==")

lock = threading.RLock()
released = threading.Condition(lock)
state = {"submits": 0, "calls": [], "held": 0, "problems": [], "forms": [], "release": 0}
tasks = {}
rules = []
public = {"url": ""}


def problem(status, code, kind, message, details=None):
    return status, {"error_code": code, "error_type": kind, "error_message": message, "error_details": details or {}}


BOOL = lambda v: isinstance(v, bool)


def number(low, high):
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def word(*words):
    return lambda v: isinstance(v, str) and v in words


def length(v):
    return isinstance(v, int) and not isinstance(v, bool) or isinstance(v, str) and (v == "auto" or re.fullmatch(r"\d+(\.\d+)?%", v))


def either(*checks):
    return lambda v: any(c(v) is True or c(v) == [] or (not isinstance(c(v), list) and bool(c(v))) for c in checks)


def keys(required=(), **known):
    def check(value, path=""):
        if not isinstance(value, dict):
            return [(path, "value is not a valid dict")]
        wrong = [(f"{path}.{k}", "extra fields not permitted") for k in value if k not in known]
        wrong += [(f"{path}.{k}", "field required") for k in required if k not in value]
        for k, v in value.items():
            if k not in known:
                continue
            said = known[k](v, f"{path}.{k}") if getattr(known[k], "deep", False) else known[k](v)
            if isinstance(said, list):
                wrong += said
            elif not said:
                wrong.append((f"{path}.{k}", "value is not valid"))
        return wrong
    check.deep = True
    return check


TEXT = lambda v: isinstance(v, str)
URI = lambda v: isinstance(v, str) and 1 <= len(v) <= 4096 and bool(re.match(r"(https?|storage)://.", v))
SELECT = keys(required=["object_to_keep"], object_to_keep=lambda v: isinstance(v, str) and 3 <= len(v) <= 128)
CATEGORY = word("general", "cars", "products")
FIT = either(word("crop", "cover", "bounds", "canvas", "outpaint"), keys(
    type=word("crop", "cover", "bounds", "canvas", "outpaint"), crop=word("center", "smart"), feathering=TEXT, outpaint_by=TEXT))
LOSSY = either(word("lossy", "lossless"), keys(type=word("lossy", "lossless"), quality=number(1, 100)))
FORMATS = {
    "jpeg": dict(quality=number(1, 100), progressive=BOOL), "png": dict(compression=word("fast", "best", "optimal")),
    "webp": dict(compression=LOSSY), "avif": dict(compression=LOSSY), "tiff": dict(compression=LOSSY)}


def file_format(value):
    if isinstance(value, str):
        return value in FORMATS
    return isinstance(value, dict) and value.get("type") in FORMATS and \
        keys(type=TEXT, **FORMATS[value["type"]])(value) == []


BODY = keys(
    required=["input", "operations"], input=URI,
    operations=keys(
        restorations=keys(decompress=word("moderate", "strong", "auto"), polish=BOOL, upscale=either(
            word("smart_enhance", "smart_resize", "faces", "digital_art", "photo"),
            keys(required=["type", "version"], type=word("photo"), version=word("1", "2", "3")))),
        resizing=keys(width=length, height=length, fit=FIT),
        adjustments=keys(hdr=either(number(0, 100), keys(intensity=number(0, 100), stitching=BOOL)), exposure=number(-100, 100),
                         saturation=number(-100, 100), contrast=number(-100, 100), sharpness=number(0, 100)),
        background=keys(remove=either(BOOL, keys(category=CATEGORY, clipping=BOOL, selective=SELECT)), color=TEXT,
                        blur=either(BOOL, keys(category=CATEGORY, selective=SELECT, type=word("regular", "lens"),
                                               level=word("low", "medium", "high")))),
        padding=TEXT,
        privacy=keys(blur_car_plate=BOOL, identity_crop=BOOL),
        generative=keys(style_transfer=keys(required=["style_reference_image"], style_reference_image=URI, prompt=TEXT,
                                            depth_strength=lambda v: 0 <= v <= 1, denoising_strength=lambda v: 0 <= v <= 1,
                                            style_strength=lambda v: 0 <= v <= 1))),
    output=keys(format=file_format, destination=URI, metadata=keys(
        dpi=number(1, 10000), color_space=either(word("RGB", "CMYK"), keys(type=word("RGB", "CMYK"), color_profile=TEXT)),
        color_profile=TEXT)))


def submit(handler, body):
    if handler.headers.get("Content-Type") != "application/json":
        return problem(422, "9000", "validation", "Validation error", {"content-type": ["must be application/json"]})
    try:
        body = json.loads(body)
    except ValueError:
        return problem(422, "9000", "validation", "Validation error", {"body": ["is not JSON"]})
    wrong = BODY(body, "body")
    if wrong:
        return problem(422, "9000", "validation", "Validation error", {path: [text] for path, text in wrong})
    with lock:
        state["submits"] += 1
        number = 1000 + state["submits"]
        tasks[number] = {"id": number, "polls": 0, "request": body, "created_at": time.strftime("%Y-%m-%dT%H:%M:%S")}
    return 200, {"data": {"id": number, "status": "ACCEPTED", "result_url": f"{public['url']}/v1/image/edit/async/{number}",
                          "created_at": tasks[number]["created_at"], "request": body}}


def poll(number, told):
    task = tasks.get(number)
    if task is None:
        return problem(404, "404", "general", "Not found")
    task["polls"] += 1
    status = told or ("DONE" if task["polls"] > 1 else "PROCESSING")
    data = {"id": number, "status": status, "created_at": task["created_at"], "request": task["request"], "errors": [], "result": {}}
    if status == "ERROR":
        data["errors"] = [{"error": "the picture could not be read", "created_at": task["created_at"], "input_object": None}]
    if status == "DONE":
        data["result"] = {
            "input_object": {"ext": "jpg", "mps": 0.02, "mime": "image/jpeg", "format": "JPEG", "width": 160, "height": 120},
            "output_object": {"ext": "png", "mps": 0.0, "mime": "image/png", "format": "PNG", "width": 4, "height": 2,
                              "tmp_url": f"{public['url']}/tmp/{number}.png?token=signed"}}
    return 200, {"data": data}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body, headers=None, kind="application/json"):
        data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-request-id", str(uuid.uuid4()))
        for name, value in (headers or {}).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def control(self, told):
        with lock:
            if "rule" in told:
                rules.append(told["rule"])
            if "forget" in told:
                rules.clear()
            if "lose" in told:
                tasks.clear()
            if told.get("release"):
                state["release"] += 1
                released.notify_all()
            self.answer(200, {**state, **self.more()} if told == {} else {k: state[k] for k in ("submits", "held")})

    def rule_for(self, call):
        with lock:
            for rule in rules:
                if rule["call"] == call and rule.get("times", 1) > 0:
                    if "times" in rule:
                        rule["times"] -= 1
                    return rule
        return {}

    def hold(self):
        with lock:
            now = state["release"]
            state["held"] += 1
            released.wait_for(lambda: state["release"] > now, 60)
            state["held"] -= 1

    def more(self):
        return {}

    def unknown(self):
        return problem(404, "404", "web", "Not found")

    def act(self, call, body, rule):
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return problem(401, "111", "auth", "Unauthorized")
        if call == "submit":
            return submit(self, body)
        return poll(int(self.path.rsplit("/", 1)[1]), rule.get("task"))

    def picture(self, rule):
        return PNG

    def call(self):
        if (self.command, self.path) == ("POST", "/v1/image/edit/async"):
            return "submit"
        if self.command == "GET" and re.fullmatch(r"/v1/image/edit/async/\d+", self.path):
            return "poll"
        return "download" if self.command == "GET" and self.path.startswith("/tmp/") else None

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/control":
            return self.control(json.loads(body))
        call = self.call()
        if call is None:
            with lock:
                state["problems"].append(f"{self.command} {self.path}")
            return self.answer(*self.unknown())
        if call == "download" and (self.headers.get("Authorization") or self.headers.get("X-API-Key")):
            with lock:
                state["problems"].append("the key was sent with a download")
        with lock:
            state["calls"].append({"call": call, "at": time.time(), "body": body.split(b"filename=")[0][:4000].decode("latin-1")})
        rule = self.rule_for(call)
        acted = None
        if rule.get("hold"):
            if rule.get("act"):
                acted = self.act(call, body, rule)
            self.hold()
        if rule.get("drop"):
            if rule.get("act") and acted is None:
                self.act(call, body, rule)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if "status" in rule:
            if rule.get("act") and acted is None:
                self.act(call, body, rule)
            return self.answer(rule["status"], rule.get("body", ""), rule.get("headers"))
        if call == "download":
            data = self.picture(rule)
            return self.answer(200, data, kind="image/png") if data is not None else self.answer(404, "")
        status, answer = acted or self.act(call, body, rule)
        return self.answer(status, rule.get("say", answer) if status == 200 else answer, rule.get("headers"))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *arguments):
        pass


def serve(handler):
    server = Server(("127.0.0.1", 0), handler)
    public["url"] = f"http://127.0.0.1:{server.server_port}"
    print(json.dumps({"port": server.server_port}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(Handler)
