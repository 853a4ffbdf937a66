#!/usr/bin/python3
"""A server that speaks Topaz' Image API as far as its contract says, and strictly.

It prints one line of JSON, {"port": N}, and then serves. What it does beside
the contract it is told by POST /control with {"rule": {...}}, as claid_server.py
is; call is submit, poll, find (a list), link, input (its link), cancel, forget,
estimate or download. Its list has PAGE tasks a page, oldest first.
"""
import email.parser
import email.policy
import hashlib
import json
import re
import time
import urllib.parse
import uuid

import claid_server as base

KEY = "the topaz key"
MODELS = {
    "enhance": ["Standard V2", "Low Resolution V2", "CGI", "High Fidelity V2", "Text Refine"],
    "enhance-gen": ["Standard MAX", "Recovery V2", "Wonder", "Redefine"],
    "sharpen": ["Standard", "Strong", "Lens Blur", "Lens Blur V2", "Motion Blur", "Natural", "Refocus", "Wildlife", "Portrait"],
    "sharpen-gen": ["Super Focus V2"], "denoise": ["Normal", "Strong", "Extreme"],
    "restore-gen": ["Dust-Scratch", "Dust-Scratch V2"], "lighting": ["Adjust", "Adjust V2", "White Balance", "Colorize"],
    "matting": ["Object"], "tool": ["Transparency Upscale"]}
SIZED = ("enhance", "enhance-gen", "tool")
FORMATS = ("jpeg", "jpg", "png", "tiff", "tif")
MAGIC = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG", "image/tiff": b"II*"}
PAGE = 4


def error(status, message):
    return status, {"code": status, "message": message}


# Texts by name; of a file its name, type, length and hash.
def fields_of(handler, body):
    if not handler.headers.get("Content-Type", "").startswith("multipart/form-data; boundary="):
        return None
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + handler.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    if not message.is_multipart() or message.defects:
        return None
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if name is None or name in fields or part.defects:
            return None
        value = part.get_payload(decode=True)
        if name == "image":
            if not part.get_filename() or not value.startswith(MAGIC.get(part.get_content_type(), b"none")):
                return None
            fields[name] = {"filename": part.get_filename(), "type": part.get_content_type(), "bytes": len(value),
                            "sha256": hashlib.sha256(value).hexdigest()}
        else:
            fields[name] = value.decode()
    return fields


def submit(handler, endpoint, body):
    fields = fields_of(handler, body)
    if fields is None:
        return error(415, "the body is no form")
    if sum(name in fields for name in ("image", "source_id", "source_url")) != 1:
        return error(400, "one of image, source_id and source_url")
    if not re.match(r"https?://.", fields.get("source_url", "http://image")):
        return error(400, "source_url is no URL")
    if not re.match(r"https?://.", fields.get("webhook_url", "http://x")):
        return error(400, "webhook_url is no URL")
    if endpoint == "tool" and fields.get("image", {}).get("type", "image/png") != "image/png":
        return error(415, "tool takes PNG")
    if fields.get("model", MODELS[endpoint][0]) not in MODELS[endpoint]:
        return error(400, "no such model")
    for name in ("output_width", "output_height"):
        if name in fields and (endpoint not in SIZED or not fields[name].isdigit() or not 0 < int(fields[name]) <= 32000):
            return error(422, f"{name} is not valid")
    if fields.get("crop_to_fill", "false") not in ("true", "false") or ("crop_to_fill" in fields and endpoint not in SIZED):
        return error(400, "crop_to_fill is not valid")
    if fields.get("output_format", "png") not in (("png",) if endpoint in ("matting", "tool") else FORMATS):
        return error(400, "output_format is not valid")
    with base.lock:
        base.state["submits"] += 1
        number = str(uuid.uuid4())
        filename = fields["image"]["filename"] if "image" in fields else urllib.parse.urlsplit(fields["source_url"]).path.rsplit("/", 1)[-1]
        base.tasks[number] = {"polls": 0, "fields": fields, "endpoint": endpoint, "filename": filename, "status": "Processing",
                              "number": len(base.tasks), "at": int(time.time())}
        base.state["forms"].append(fields)
    return 200, {"process_id": number, "source_id": str(uuid.uuid4()), "eta": int(time.time()) + 1}


def poll(number, told):
    task = base.tasks.get(number)
    if task is None:
        return error(404, "no such process")
    task["polls"] += 1
    task["status"] = told or ("Completed" if task["polls"] > 1 else "Processing")
    return 200, shown(number)


def shown(number):
    task = base.tasks[number]
    status = task["status"]
    now = int(time.time())
    return {
        "process_id": number, "source_id": str(uuid.uuid4()), "filename": task["filename"], "input_format": "jpeg", "input_width": 160,
        "input_height": 120, "output_format": "png", "output_width": 4, "output_height": 2, "category": "Enhance",
        "model_type": "GAN", "model": "Standard V2", "crop_to_fill": False, "options_json": "{}", "status": status,
        "progress": 100 if status == "Completed" else 50, "eta": now, "creation_time": task["at"], "modification_time": now, "credits": 3}


# Without a query, all at once. A cursor has characters that a query has to have encoded.
def find(query):
    if query == "":
        with base.lock:
            return 200, [shown(number) for number in base.tasks]
    asked = urllib.parse.parse_qs(query, strict_parsing=True)
    if set(asked) - {"paginated", "limit", "cursor"} or asked.get("paginated") != ["true"] or not 1 <= int(asked["limit"][0]) <= 100:
        return error(400, "no such list")
    first = int(asked["cursor"][0].split("+/=")[1]) if "cursor" in asked else 0
    with base.lock:
        names = sorted(base.tasks, key=lambda n: base.tasks[n]["number"])
        page = [shown(n) for n in names[first:first + PAGE]]
    more = first + PAGE < len(names)
    return 200, {"data": page, "pagination": {"has_next_page": more, **({"next_cursor": f"c+/={first + PAGE}"} if more else {})}}


CATEGORIES = {
    "Enhance": "enhance", "Sharpen": "sharpen", "Denoise": "denoise", "Restore": "restore", "Lighting": "lighting",
    "Matting": "matting", "Tool": "tool"}


def side(value):
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 32000


def estimate(handler, path, body):
    """What it costs: a credit for each 24 megapixels of output, four of a generative model."""
    if handler.headers.get("Content-Type") != "application/json":
        return error(415, "the body is no JSON")
    given = json.loads(body)
    generative = path == "/estimate-gen"
    endpoint = CATEGORIES.get(given.get("category", "Enhance"), "") + ("-gen" if generative else "")
    if set(given) - {"category", "model", "input_width", "input_height", "output_width", "output_height", "crop_to_fill", "output_format"}:
        return error(400, "an unknown field")
    if endpoint not in MODELS:
        return error(400, "category is not valid")
    if not side(given.get("input_width")) or not side(given.get("input_height")):
        return error(422, "input_width and input_height are required")
    if any(not side(given[name]) for name in ("output_width", "output_height") if name in given):
        return error(422, "output_width or output_height is not valid")
    if given.get("model", MODELS[endpoint][0]) not in MODELS[endpoint]:
        return error(400, "no such model")
    if not isinstance(given.get("crop_to_fill", False), bool) or given.get("output_format", "png") not in FORMATS:
        return error(400, "crop_to_fill or output_format is not valid")
    width = given.get("output_width", given["input_width"])
    height = given.get("output_height", given["input_height"] * width // given["input_width"])
    return 200, {"duration": 12.5, "credits": max(1, -(-width * height // 24_000_000)) * (4 if generative else 1)}


def link(number, kind="output"):
    task = base.tasks.get(number)
    if task is None:
        return error(404, "no such process")
    if kind == "output" and task["polls"] < 2:
        return error(409, "not ready")
    task["links"] = task.get("links", 0) + 1
    url = f"{base.public['url']}/tmp/{number}-{kind}.png?token=signed{task['links']}"
    return 200, {"download_url": url, "head_url": url + "&head", "expiry": int(time.time()) + 3600}


class Handler(base.Handler):
    def call(self):
        found = re.fullmatch(r"/([a-z-]+)/async", self.path)
        if self.command == "POST" and found and found[1] in MODELS:
            return "submit"
        if self.command == "GET" and re.fullmatch(r"/status/[0-9a-f-]{36}", self.path):
            return "poll"
        if self.command == "GET" and re.fullmatch(r"/status(\?.*)?", self.path):
            return "find"
        if self.command == "DELETE" and re.fullmatch(r"/cancel/[0-9a-f-]{36}", self.path):
            return "cancel"
        if self.command == "GET" and re.fullmatch(r"/download/[0-9a-f-]{36}", self.path):
            return "link"
        if self.command == "GET" and re.fullmatch(r"/download/input/[0-9a-f-]{36}", self.path):
            return "input"
        if self.command == "DELETE" and re.fullmatch(r"/status/[0-9a-f-]{36}", self.path):
            return "forget"
        if self.command == "POST" and self.path in ("/estimate", "/estimate-gen"):
            return "estimate"
        return "download" if self.command == "GET" and self.path.startswith("/tmp/") else None

    def act(self, call, body, rule):
        if self.headers.get("X-API-Key") != KEY:
            return error(401, "Unauthorized")
        if call == "submit":
            return submit(self, self.path.split("/")[1], body)
        if call == "find":
            return find(urllib.parse.urlsplit(self.path).query)
        if call == "estimate":
            return estimate(self, self.path, body)
        number = self.path.rsplit("/", 1)[1]
        if call == "input":
            return link(number, "input")
        if call in ("cancel", "forget"):
            return (204, "") if base.tasks.pop(number, None) else error(404, "no such process")
        return poll(number, rule.get("task")) if call == "poll" else link(number)


if __name__ == "__main__":
    base.serve(Handler)
