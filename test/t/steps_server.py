#!/usr/bin/python3
"""A server of an API that wants several calls for a job, makes several pictures
of it, and is to be cleaned up afterwards.

It is claid_server.py, and besides: PUT /prepare/JOB with {"folder": true}, PUT
/upload/JOB with the bytes of a picture, DELETE /clean/JOB, and GET /source.png.
GET /tmp/… gives a picture that is as long as the rule {"call": "download",
"bytes": N} says. Their calls are prepare, upload, clean and source.
"""
import hashlib
import json
import re

import claid_server as base

uploads = {}


class Handler(base.Handler):
    def call(self):
        found = re.fullmatch(r"/(prepare|upload|clean)/[0-9a-f-]{36}", self.path)
        if found and self.command == ("DELETE" if found[1] == "clean" else "PUT"):
            return found[1]
        if (self.command, self.path) == ("GET", "/source.png"):
            return "source"
        return super().call()

    def act(self, call, body, rule):
        name = self.path.rsplit("/", 1)[1]
        if call == "source":
            return 200, base.PNG
        if call not in ("prepare", "upload", "clean"):
            return super().act(call, body, rule)
        if self.headers.get("Authorization") != f"Bearer {base.KEY}":
            return base.problem(401, "111", "auth", "Unauthorized")
        if call == "prepare" and (self.headers.get("Content-Type") != "application/json" or json.loads(body) != {"folder": True}):
            return base.problem(422, "9000", "validation", "no folder")
        if call == "upload":
            if self.headers.get("Content-Type") != "application/octet-stream" or not body:
                return base.problem(422, "9000", "validation", "no picture")
            uploads[name] = hashlib.sha256(body).hexdigest()
        if call == "clean":
            uploads.pop(name, None)
            return 204, ""
        return 200, {"done": True, "file": uploads.get(name)}

    # A PNG may have anything behind its end.
    def picture(self, rule):
        return base.PNG + bytes(max(rule.get("bytes", 0) - len(base.PNG), 0))


if __name__ == "__main__":
    base.serve(Handler)
