#!/usr/bin/python3
"""A server that speaks NHN Cloud's Image Manager as far as its contract says, and strictly.

It prints one line of JSON, {"port": N}, and then serves. What it does beside
the contract it is told by POST /control with {"rule": {...}}, as claid_server.py
is; call is folder, folders, properties, upload, upload_many, delete,
delete_many, operation, operations, operation_detail, operation_delete, submit
(operations-exec), users, poll (queues) or download. A rule may also have

    code        answer with that resultCode, and message

It answers 200 to everything that it understands, as the API does. "submits"
counts the runs that operations-exec has begun; "files" and "operations" say
what is there.
"""
import email.parser
import email.policy
import hashlib
import json
import re
import struct
import time
import urllib.parse
import uuid
import zlib

import claid_server as base

APPKEY = "theAppKey"
KEY = "the NHN key"
PREFIX = f"/image/v2.0/appkeys/{APPKEY}"
EXTENSIONS = "bmp tif tiff miff gif jpe jpeg jpg jps pjpeg jng mng png webp".split()
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
LARGEST = 50 * 1024 * 1024
GRAVITIES = [f"{v}{h}" for v in ("North", "South", "") for h in ("West", "East", "")][:-1] + ["Center"]

folders = {}        # path: folder
files = {}          # path: {"file": ..., "data": ...}
operations = {}     # id: operation
user = {"appKey": APPKEY, "containerName": "aaaaach", "realtimeService": True}


class Refused(Exception):
    """A resultCode other than 0."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def header(code=0, message="Success"):
    return {"header": {"isSuccessful": code == 0, "resultCode": code, "resultMessage": message}}


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S+0900", time.gmtime(time.time() + 9 * 3600))


# ------------------------------------------------------------------- checks

def text(low, high):
    def check(name, value):
        if not isinstance(value, str):
            raise Refused(5000, f"{name} is no text")
        if len(value) < low or len(value.encode()) > high:
            raise Refused(5002, f"{name} has to have {low} to {high} characters")
        return value
    return check


def number(low, high, whole=True):
    def check(name, value):
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise Refused(5000, f"{name} is no number")
        if not low <= value <= high:
            raise Refused(5002, f"{name} has to be {low} to {high}")
        return value
    return check


def word(*words):
    def check(name, value):
        if value not in words:
            raise Refused(5003, f"{name} is none of {', '.join(words)}")
        return value
    return check


def flag(name, value):
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise Refused(5000, f"{name} is neither true nor false")
    return value == "true"


def path_of(name, value):
    text(2, 255)(name, value)
    if not value.startswith("/") or re.search(r'[:?*"|]|//', value):
        raise Refused(11050, f"{name} has forbidden characters")
    if len(value.encode()) > 1024 or any(not 2 <= len(part) <= 255 for part in value.strip("/").split("/")):
        raise Refused(11002, f"a name in {name} is too short or too long")
    return value.rstrip("/")


def texts(name, value):
    value = value.split(",") if isinstance(value, str) else value
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
        raise Refused(5000, f"{name} is no list")
    if len(value) > 10000:
        raise Refused(11003, f"{name} is too long")
    return value


def url(name, value):
    parts = urllib.parse.urlsplit(value if isinstance(value, str) else "")
    if parts.scheme not in ("http", "https") or parts.port not in (None, 80, 443):
        raise Refused(11051, f"{name} has a port other than 80 and 443")
    return value


def members(given, required, **known):
    """What is given, each checked; nothing else is allowed."""
    if not isinstance(given, dict):
        raise Refused(10001, "no object")
    for name in given:
        if name not in known:
            raise Refused(10001, f"{name} is not known")
    for name in required:
        if name not in given:
            raise Refused(5004, f"{name} is missing")
    return {name: known[name](name, value) for name, value in given.items()}


# --------------------------------------------------------------- operations

SIDE = number(1, 65500)
OFFSET = number(-65500, 65500)
RESIZE = (["width", "height"], {
    "width": SIDE, "height": SIDE, "quality": number(1, 100, whole=False), "keepAnimation": flag, "keepExif": flag,
    "upDownSizeType": word("downOnly", "upOnly", "upDownAll"), "autoOrient": flag, "targetExtension": word(None, "", *EXTENSIONS),
    "resizeType": word("fixed", "fix", "min_fit", "max_fit", "width_fit", "height_fit")})
PLACE = {"gravity": word(*GRAVITIES), "offsetX": OFFSET, "offsetY": OFFSET}
TEMPLATES = {
    **{f"resize_{kind}": RESIZE for kind in ("fixed", "fix", "min_fit", "max_fit", "width_fit", "height_fit")},
    "gray": ([], {"keepAnimation": flag}),
    "rectangle": (["width", "height"], {**PLACE, "width": SIDE, "height": SIDE, "keepAnimation": flag}),
    "circle": (["radius"], {**PLACE, "radius": SIDE}),
    "slice": ([], {"sliceCropType": word("vertical", "horizontal"), "sliceSize": number(0, 65500), "keepAnimation": flag, "callbackUrl": url}),
    "grid": (["countX", "countY"], {"countX": number(1, 10000), "countY": number(1, 10000), "callbackUrl": url}),
    "watermark": (["watermarkImagePath"], {**PLACE, "watermarkImagePath": path_of})}


def step(given):
    given = members(given, ["templateOperationId", "option"], templateOperationId=word(*TEMPLATES), option=lambda name, value: value)
    required, known = TEMPLATES[given["templateOperationId"]]
    option = members(given["option"], required, **known)
    if "watermarkImagePath" in option and option["watermarkImagePath"] not in files:
        raise Refused(40004, "there is no such watermark")
    kind = given["templateOperationId"].split("_")[0]
    return {**given, "jobType": f"{kind.capitalize()}Job", "option": option}


def steps(name, value):
    if not isinstance(value, list) or not value:
        raise Refused(40003, "there are no steps")
    made = [step(given) for given in value]
    if len({given["templateOperationId"] for given in made}) < len(made):
        raise Refused(5006, "a step occurs twice")
    return made


def operation_id(name):
    if not re.fullmatch(r"[A-Za-z0-9]{1,20}", name):
        raise Refused(5000, "operationId has to be 1 to 20 letters and digits")
    return name


def known_operation(name):
    if operation_id(name) not in operations:
        raise Refused(5000, f"there is no operation {name}")
    return operations[name]


def put_operation(name, body):
    given = members(body, ["data"], description=text(0, 30), realtimeService=flag, deleteThumbnail=flag, data=steps)
    operations[operation_id(name)] = {
        "appKey": APPKEY, "operationId": name, "description": given.get("description", ""),
        "realtimeService": given.get("realtimeService", True), "updatedAt": now(), "jobTemplate": given["data"]}
    return {"operation": operations[name]}


def list_operations(query):
    given = members(query, [], name=text(0, 20), page=number(1, 1 << 31), rows=number(1, 10000), template=flag,
                    sort=word("name:asc", "name:desc", "date:asc", "date:desc"))
    found = [o for name, o in sorted(operations.items()) if name.startswith(given.get("name", "")) and not given.get("template")]
    return {"paging": {"page": 1, "rows": given.get("rows", 20), "totalCount": len(found)}, "operations": found[:given.get("rows", 20)]}


# --------------------------------------------------------- folders and files

def parent_of(path):
    return path.rsplit("/", 1)[0]


def make_folder(path):
    if path and path not in folders:
        make_folder(parent_of(path))
        folders[path] = {"isFolder": True, "id": str(uuid.uuid4()), "name": path.rsplit("/", 1)[1], "path": path, "updatedAt": now()}
    return folders.get(path)


def post_folder(body):
    path = members(body, ["path"], path=path_of)["path"]
    if path in folders:
        raise Refused(20000, "There is same folder name.")
    return {"folder": make_folder(path)}


def folder_at(path):
    if path not in folders:
        raise Refused(20001, "There is no such folder.")
    return folders[path]


def list_folder(query):
    given = members(query, ["basepath"], basepath=path_of, createdBy=word("", "U", "P"), name=text(2, 255), page=number(1, 1 << 31),
                    rows=number(1, 10000), sort=word("name:asc", "name:desc", "date:asc", "date:desc"))
    folder_at(given["basepath"])
    for task in base.tasks.values():
        advance(task)
    said = given.get("createdBy", "")
    name = given.get("name", "")
    below = [f for path, f in sorted(folders.items()) if parent_of(path) == given["basepath"] and name in f["name"] and not said]
    found = [f["file"] for path, f in sorted(files.items()) if parent_of(path) == given["basepath"] and name in f["file"]["name"]
             and said in ("", f["file"]["createdBy"])]
    rows = given.get("rows", 100)
    first = (given.get("page", 1) - 1) * rows
    return {"paging": {"page": given.get("page", 1), "rows": rows, "totalFolderCount": len(below), "totalFileCount": len(found)},
            "folders": below, "files": found[first:first + rows]}


def properties(query):
    path = members(query, ["path"], path=path_of)["path"]
    inside = [f["file"] for p, f in files.items() if p.startswith(path + "/")]
    return {"folder": {**folder_at(path), "bytes": sum(f["bytes"] for f in inside), "totalFileCount": len(inside),
                       "totalFolderCount": sum(p.startswith(path + "/") for p in folders)}}


def store(path, data, created_by, operation="", size=(200, 150)):
    files[path] = {"data": data, "file": {
        "isFolder": False, "id": str(uuid.uuid4()), "url": f"{base.public['url']}/tmp/{user['containerName']}{path}",
        "name": path.rsplit("/", 1)[1], "path": path, "bytes": len(data), "createdBy": created_by, "updatedAt": now(),
        "operationId": operation, "queues": [],
        "imageProperty": {"width": size[0], "height": size[1], "createdAt": now(), "coordinate": {"lat": None, "lng": None}}}}
    return files[path]["file"]


def upload_file(path, data, given):
    if path.rsplit(".", 1)[-1].lower() not in EXTENSIONS:
        raise Refused(5005, "the extension is none of a picture")
    if parent_of(path) not in folders:
        raise Refused(20002, "There is no parent folder.")
    if not data.startswith(MAGIC):
        raise Refused(10002, "the file is broken")
    if len(data) > LARGEST:
        raise Refused(11004, "It was exceed the max volume you can upload at once.")
    if path in files and given.get("autorename"):
        stem, extension = path.rsplit(".", 1)
        path = next(p for p in (f"{stem}({n}).{extension}" for n in range(1, 100)) if p not in files)
    elif path in files and not given.get("overwrite"):
        raise Refused(20010, "There is same file name.")
    run = [known_operation(name) for name in given.get("operationIds", [])]
    file = store(path, data, "U")
    return {**file, "queues": [begin(path, o["operationId"]) for o in run]}


def upload_many(handler, body):
    kind = handler.headers.get("Content-Type", "")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    if not kind.startswith("multipart/form-data; boundary=") or not message.is_multipart() or message.defects:
        raise Refused(415, "a form is wanted")
    parts = [(p.get_param("name", header="content-disposition"), p.get_filename(), p.get_payload(decode=True)) for p in message.iter_parts()]
    params = [data for name, _, data in parts if name == "params"]
    sent = [(name, data) for part, name, data in parts if part == "files"]
    if len(params) != 1 or not sent or len(params) + len(sent) != len(parts):
        raise Refused(10001, "params once, and files")
    given = members(json.loads(params[0]), ["basepath"], basepath=path_of, overwrite=flag, autorename=flag, operationIds=texts, callbackUrl=url)
    answer = {"errors": [], "successes": []}
    for name, data in sent:
        path = f"{given['basepath']}/{name}"
        try:
            answer["successes"].append(upload_file(path, data, given))
        except Refused as refused:
            answer["errors"].append({"path": path, "bytes": len(data), "error": {"resultCode": refused.code, "resultMessage": str(refused)}})
    code = 0 if not answer["errors"] else 1 if answer["successes"] else 2
    return {**header(code, "Success" if code == 0 else "Partial Success"), **answer}


def remove(query, folder_key, file_key):
    given = members(query, [], includeThumbnail=flag, **{folder_key: texts, file_key: texts})
    ids = given.get(folder_key, []) + given.get(file_key, [])
    if not ids or any(len(i) > 50 for i in ids):
        raise Refused(5004, f"{folder_key} or {file_key}")
    paths = [p for p, f in files.items() if f["file"]["id"] in ids] + [p for p, f in folders.items() if f["id"] in ids]
    if not paths:
        raise Refused(21011, "There is no file to delete.")
    for path in paths:
        stem = path.rsplit(".", 1)[0]
        for p in [p for p, f in files.items() if p == path or p.startswith(path + "/") or
                  (given.get("includeThumbnail") and f["file"]["operationId"] and p.startswith(stem + "_"))]:
            del files[p]
        for p in [p for p in folders if p == path or p.startswith(path + "/")]:
            del folders[p]


# --------------------------------------------------------------------- runs

def picture(width):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    row = b"\0" + bytes(range(0, 3 * width))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, 2, 8, 2, 0, 0, 0)) + \
        chunk(b"IDAT", zlib.compress(row * 2)) + chunk(b"IEND", b"")


def outputs(path, name):
    """Where the results of an operation go."""
    option = {k: v for s in operations[name]["jobTemplate"] for k, v in s["option"].items()}
    stem, extension = path.rsplit(".", 1)
    extension = option.get("targetExtension") or extension
    count = option["countX"] * option["countY"] if "countX" in option else 3 if "sliceSize" in option else 1
    return [f"{stem}_{name}{f'_{n:04}' if count > 1 else ''}.{extension}" for n in range(count)]


def begin(path, name):
    target = outputs(path, name)[0]
    queue = {"queueId": str(uuid.uuid4()), "queueType": "image", "status": "W", "tryCount": 0, "queuedAt": now(), "operationId": name,
             "url": f"{base.public['url']}/tmp/{user['containerName']}{target}", "name": target.rsplit("/", 1)[1], "path": target}
    base.tasks[queue["queueId"]] = {"queue": queue, "source": path, "looks": 0}
    return queue


def execute(body):
    given = members(body, ["basepath", "filepaths", "operationIds"], basepath=path_of, filepaths=texts, operationIds=texts, callbackUrl=url)
    folder_at(given["basepath"])
    for path in given["filepaths"]:
        if path not in files:
            raise Refused(-1, "No task was created.")
    run = [known_operation(name) for name in given["operationIds"]]
    base.state["submits"] += 1
    return {"paging": {"page": 1, "rows": 20, "totalCount": len(run)}, "operations": run,
            "queues": [begin(path, o["operationId"]) for path in given["filepaths"] for o in run]}


def advance(task, told=None):
    """Work goes on whenever somebody looks; a task is done once."""
    queue = task["queue"]
    if queue["status"] in "DF":
        return
    task["looks"] += 1
    queue["status"] = told or ("D" if task["looks"] > 1 else "P")
    if queue["queueType"] == "image" and (task["source"] not in files or queue["operationId"] not in operations):
        queue["status"] = "F"
    elif queue["queueType"] == "image" and queue["status"] == "D":
        for ordinal, path in enumerate(outputs(task["source"], queue["operationId"])):
            store(path, picture(4 + ordinal), "P", queue["operationId"], (4 + ordinal, 2))


def poll(number, told):
    task = base.tasks.get(number)
    if task is None or len(number) > 64:
        raise Refused(404, "There is no such task.")
    advance(task, told)
    return {"queue": task["queue"]}


# --------------------------------------------------------------------- HTTP

ROUTES = [(method, re.compile(PREFIX + path), call) for method, path, call in (
    ("POST", "/folders", "folder"), ("GET", "/folders", "folders"), ("GET", "/properties", "properties"),
    ("PUT", "/images", "upload"), ("POST", "/images", "upload_many"),
    ("DELETE", "/images/sync", "delete"), ("DELETE", "/images/async", "delete_many"),
    ("PUT", "/operations/([^/]+)", "operation"), ("GET", "/operations", "operations"),
    ("GET", "/operations/([^/]+)", "operation_detail"), ("DELETE", "/operations/([^/]+)", "operation_delete"),
    ("POST", "/operations-exec", "submit"), ("GET", "/users", "users"), ("PUT", "/users", "user_switch"),
    ("GET", "/queues/([^/]+)", "poll"), ("GET", "(?!)", "download"))]


class Handler(base.Handler):
    def split(self):
        parts = urllib.parse.urlsplit(self.path)
        return urllib.parse.unquote(parts.path), dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))

    def call(self):
        path, _ = self.split()
        for method, pattern, call in ROUTES:
            if self.command == method and pattern.fullmatch(path):
                return call
        return "download" if self.command == "GET" and self.path.startswith("/tmp/") else None

    def json(self, body):
        if self.headers.get("Content-Type") != "application/json":
            raise Refused(415, "JSON is wanted")
        try:
            return json.loads(body)
        except ValueError:
            raise Refused(400, "the body is no JSON")

    def upload(self, query, body):
        given = members(query, ["path"], path=path_of, overwrite=flag, autorename=flag, operationIds=texts)
        if self.headers.get("Content-Type") != "application/octet-stream":
            raise Refused(415, "bytes are wanted")
        return {"file": upload_file(given["path"], body, given)}

    def perform(self, call, body, rule):
        path, query = self.split()
        last = path.rsplit("/", 1)[1]
        if self.headers.get("Authorization") != KEY:
            raise Refused(401, "Unauthorized")
        if "code" in rule:
            raise Refused(rule["code"], rule.get("message", f"because of {rule['code']}"))
        if call not in ("folders", "properties", "upload", "delete", "delete_many", "operations", "operation_delete") and query:
            raise Refused(10001, "no query is known here")
        if call == "delete_many":
            remove(query, "folderIds", "fileIds")
            queue = {"queueId": str(uuid.uuid4()), "queueType": "delete", "status": "W", "tryCount": 0, "queuedAt": now(),
                     "operationId": "", "url": "", "name": "", "path": ""}
            base.tasks[queue["queueId"]] = {"queue": queue, "looks": 0}
            return {"queue": queue}
        if call == "operation_delete":
            members(query, [], deleteThumbnail=flag)
            known_operation(last)
            return operations.pop(last) and {}
        if call == "user_switch":
            user.update(members(self.json(body), ["realtimeService"], realtimeService=flag))
            return {}
        return {
            "folder": lambda: post_folder(self.json(body)), "folders": lambda: list_folder(query), "properties": lambda: properties(query),
            "upload": lambda: self.upload(query, body), "upload_many": lambda: upload_many(self, body),
            "delete": lambda: remove(query, "folderId", "fileId") or {},
            "operation": lambda: put_operation(last, self.json(body)), "operations": lambda: list_operations(query),
            "operation_detail": lambda: {"operation": known_operation(last)}, "submit": lambda: execute(self.json(body)),
            "users": lambda: {"user": user}, "poll": lambda: poll(last, rule.get("task"))}[call]()

    def act(self, call, body, rule):
        with base.lock:
            try:
                return 200, {**header(), **self.perform(call, body, rule)}
            except Refused as refused:
                return 200, header(refused.code, str(refused))

    def picture(self, rule):
        found = files.get(self.split()[0][len("/tmp/" + user["containerName"]):])
        return found["data"] if found else None

    def unknown(self):
        return 200, header(404, "Please check your API Url, HTTP Method.")

    def more(self):
        return {"files": {path: {"sha256": hashlib.sha256(f["data"]).hexdigest(), **f["file"]} for path, f in files.items()},
                "operations": operations}


if __name__ == "__main__":
    base.serve(Handler)
