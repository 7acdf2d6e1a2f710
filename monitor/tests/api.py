"""A farm's API as a test wants it, on loopback: what each address answers can be changed at any moment."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

MACHINE = {
    **{"model": "Raspberry Pi 4 Model B Rev 1.4", "os_release": "trixie", "python": "3.13"},
    **{"software": "0.1.0", "sandbox": "full", "up_s": 7200.0, "clock_ahead_s": 0.2, "load": 1.5},
    **{"temperature_c": 55.0, "memory_used": 0.5, "swap_used": None, "disk_used": 0.4},
}
TOKEN = "piwheels_op_secret"


def builder(name="pi-1", **fields):
    machine = {**MACHINE, **fields.pop("machine", {})}
    return {
        **{"name": name, "target": "trixie-armhf-cp313", "mode": "active", "state": "free"},
        **{"said": "waiting for a build", "is_well": True, "reason": "", "since": None},
        **{"heard_at": "2026-11-24T11:59:55Z", "building": None, "built_an_hour": 3},
        "machine": machine,
        **fields,
    }


def building(package="numpy", version="2.3.5", since="2026-11-24T11:50:00Z"):
    work = {"build": "/api/v1/builds/1", "package": package, "version": version, "state": "building"}
    return {
        "building": {**work, "since": since},
        "state": "building",
        "said": "building",
    }


def farm(*builders):
    return {"seen_at": "2026-11-24T12:00:00Z", "builders": list(builders), "ended": 12, "built": 10}


def queue(ready=40):
    first = {"target": "trixie-armhf-cp313", "ready": ready, "pausing": 2, "builders": 1}
    return {"queues": [{**first, "ended_an_hour": 12.5, "empty_in_s": 3600}]}


def operators(**fields):
    disk = {"holds": ["wheels"], "size_bytes": 100 << 30, "free_bytes": 60 << 30}
    server = {"load": 0.5, "processors": 4, "memory_used": 0.3, "swap_used": 0.1, "temperature_c": None}
    return {
        **{"user": "ann", "may_act": True, "downloads_today": 1234, "matters": [], "reasons": {}},
        "sync": {"lag": 3, "polled_s": 12.0, "oldest_s": None, "warning": ""},
        "server": {**server, "disks": [disk]},
        **fields,
    }


class FakeFarm:
    """Answers: by path a status, a body (JSON, or bytes as they are) and headers."""

    def __init__(self, *builders):
        self.answers: dict[str, tuple] = {
            "/farm": (200, farm(*(builders or [builder()])), {}),
            "/queue": (200, queue(), {}),
            "/operators/farm": (200, operators(), {}),
            "/operators/builders": (200, {"said": "Done.", "builders": []}, {}),
        }
        self.sent = []  # what was POSTed
        self.asked = []  # path and Authorization

    def set(self, path, body, status=200, **headers):
        self.answers[path] = (status, body, headers)

    def set_all(self, body, status=200, **headers):
        self.answers = dict.fromkeys(self.answers, (status, body, headers))


@contextmanager
def serving(fake):
    """Give the address at which a fake farm answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.removeprefix("/api/v1")
            fake.asked.append((path, self.headers["Authorization"]))
            status, body, headers = fake.answers[path]
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self):
            fake.sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.do_GET()

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
