#!/usr/bin/python3
"""A server that speaks as much of Claid's API as bench/remote needs, fast: every
request is answered after the same latency, and nothing is checked.

	bench/api_server.py PORT LATENCY_MS [POLLS]

A task is DONE at its POLLS-th poll (1). GET /stats says what it has had:
requests, submits, the most tasks it had at a time, and its processor time.
"""
import asyncio
import base64
import json
import resource
import sys

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAIAAADwyuo0AAAAEElEQVR4nGPgOiEHRwzIHABg+geB3JBMbQAAAABJRU5ErkJggg==")
PORT, LATENCY, POLLS = int(sys.argv[1]), float(sys.argv[2]) / 1000, int((sys.argv + ["1"])[3])
TASK = "/v1/image/edit/async/"

polls = {}
count = {"requests": 0, "submits": 0, "open": 0, "most": 0}


def answer(body, kind=b"application/json"):
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(body), body)


PICTURE = answer(PNG, b"image/png")


def act(method, path):
    if path.startswith("/tmp/"):
        count["open"] -= count["open"] > 0
        return PICTURE
    if method == "POST":
        count["submits"] += 1
        count["open"] += 1
        count["most"] = max(count["most"], count["open"])
        return answer(b'{"data": {"id": %d, "status": "ACCEPTED"}}' % count["submits"])
    if path == "/stats":
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return answer(json.dumps({**count, "seconds": usage.ru_utime + usage.ru_stime}).encode())
    task = path[len(TASK):]
    polls[task] = polls.get(task, 0) + 1
    if polls[task] < POLLS:
        return answer(b'{"data": {"id": %b, "status": "PROCESSING"}}' % task.encode())
    del polls[task]
    return answer(b'{"data": {"id": %b, "status": "DONE", "errors": [], "result": {"input_object": {"format": "JPEG", "width": 160, "height": 120},'
                  b' "output_object": {"format": "PNG", "width": 4, "height": 2, "tmp_url": "http://127.0.0.1:%d/tmp/%b.png"}}}}'
                  % (task.encode(), PORT, task.encode()))


class Client(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.data = b""

    def data_received(self, data):
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.data[:end].decode("latin-1")
        at = head.lower().find("content-length:")
        length = int(head[at + 15:].split("\r\n", 1)[0]) if at >= 0 else 0
        if len(self.data) < end + 4 + length:
            return
        self.data = self.data[end + 4 + length:]
        count["requests"] += 1
        method, path, _ = head.split(" ", 2)
        asyncio.get_running_loop().call_later(LATENCY, self.send, act(method, path))

    def send(self, answer):
        self.transport.write(answer)


async def main():
    server = await asyncio.get_running_loop().create_server(Client, "127.0.0.1", PORT, backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
