"""A server that plays the other side of the contract, with faults on demand."""

import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from builder.contract import API, CONTRACT, BuildOrder

TOKEN = "token-of-pi-07"
TICKET = "ticket-of-this-attempt"


def make_order(**fields) -> BuildOrder:
    """An order for build 1, attempt 1."""
    defaults = {
        "contract": CONTRACT,
        "build": 1,
        "attempt": 1,
        "ticket": TICKET,
        "package": "tiny",
        "version": "1.0",
        "target": "trixie-armhf-cp313",
        "platform": "linux-armv7l",
        "platforms": ("linux_armv6l", "linux_armv7l"),
        "architecture": "armhf",
        "abi": "cp313",
        "filename": "tiny-1.0.tar.gz",
        "url": "http://127.0.0.1:9/tiny-1.0.tar.gz",
        "sha256": "0" * 64,
        "uploaded_at": 1_700_000_000,
        "index": "http://127.0.0.1:9/simple/",
        "extra_index": "",
        "time_limit_s": 60.0,
        "memory_bytes": 0,
        "apt": (),
        "environment": {},
        "rung": "",
        "rebuild_under_s": 0.0,
        "heartbeat_s": 0.1,
    }
    return BuildOrder(**{**defaults, **fields})


@dataclass
class Fault:
    """What to do instead of answering some requests."""

    method: str
    path: str  # a regular expression
    times: int
    status: int = 0  # 0 cuts the connection


@dataclass
class Asked:
    """A request that arrived."""

    method: str
    path: str
    secret: str
    body: bytes


@dataclass
class FakeServer:
    """What the server knows, and what it was asked."""

    orders: dict[tuple[int, int], BuildOrder] = field(default_factory=dict)
    sources: dict[str, bytes] = field(default_factory=dict)
    source_headers: dict[str, str] = field(default_factory=dict)
    logs: dict[int, bytearray] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    next_orders: list[BuildOrder] = field(default_factory=list)  # for whoever reports and wants one
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    ticket_is_dead: bool = False
    wants_stop: bool = False
    refuses_report: bool = False
    refuses_upload: bool = False
    refusal_of: Callable[[str], str] = lambda filename: ""
    on_heartbeat: Callable[[], None] = lambda: None
    is_watched: bool = False

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/"

    def fail(self, method: str, path: str, *, times: int = 1, status: int = 0) -> None:
        """Answer the next such requests with a status, or cut their connections in the middle."""
        self.faults.append(Fault(method, path, times, status))

    def order(self, filename: str, content: bytes, **fields) -> BuildOrder:
        """Offer a source and order its build."""
        self.sources[filename] = content
        order = make_order(
            filename=filename,
            url=f"{self.url}sources/{filename}",
            **{"sha256": hashlib.sha256(content).hexdigest(), **fields},
        )
        self.orders[(order.build, order.attempt)] = order
        return order

    def requests(self, method: str, path: str) -> list[Asked]:
        """The requests whose path has this in it."""
        return [asked for asked in list(self.asked) if asked.method == method and path in asked.path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of clients that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeServer

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer()

    do_POST = do_HEAD = do_PATCH = do_GET

    def _answer(self):
        length = int(self.headers.get("Content-Length", 0))
        fault = next((f for f in self.fake.faults if self._fits(f)), None)
        if fault is not None:
            fault.times -= 1
        is_cut = fault is not None and fault.status == 0
        body = self.rfile.read(length // 2 if is_cut else length)
        secret = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.fake.asked.append(Asked(self.command, self.path, secret, body))
        if is_cut:
            if self.command == "PATCH":
                self._keep(body)
            self.close_connection = True
        elif fault is not None:
            # A client that followed this would find a hello.
            headers = {"Location": f"{API}hello"} if fault.status == 301 else {}
            self._raw(fault.status, b'{"error": "a fault on demand"}', headers)
        else:
            self._route(urlsplit(self.path).path, secret, body)

    def _fits(self, fault: Fault) -> bool:
        return (
            fault.times > 0 and fault.method == self.command and re.search(fault.path, self.path) is not None
        )

    def _route(self, path: str, secret: str, body: bytes) -> None:
        if path.startswith("/sources/"):
            content = self.fake.sources.get(path.removeprefix("/sources/"))
            headers = self.fake.source_headers
            return self._send(404, {"error": "none"}) if content is None else self._raw(200, content, headers)
        parts = path.removeprefix(API).split("/")
        if parts == ["hello"] or parts[-1] == "claim":
            if secret != TOKEN:
                return self._send(401, {"error": "This token is not known."})
            return (
                self._send(200, {"heartbeat_s": 1.0, "stop": self.fake.wants_stop})
                if parts == ["hello"]
                else self._claim(parts)
            )
        if secret != TICKET or self.fake.ticket_is_dead:
            return self._send(409, {"error": "This ticket is dead."})
        if parts[-1] == "heartbeat":
            return self._heartbeat(int(parts[1]), body)
        if parts[-1] == "report":
            return self._report(int(parts[1]), body)
        return self._wheel(body)

    def _claim(self, parts: list[str]) -> None:
        order = self.fake.orders.pop((int(parts[1]), int(parts[2])), None)
        if order is None:
            return self._send(409, {"error": "Not yours."})
        return self._send(200, asdict(order))

    def _heartbeat(self, build: int, body: bytes) -> None:
        log = self.fake.logs.setdefault(build, bytearray())
        offset = int(parse_qs(urlsplit(self.path).query)["log"][0])
        if offset <= len(log):
            log[offset:] = body
        self.fake.on_heartbeat()
        self._send(200, {"log_size": len(log), "is_watched": self.fake.is_watched})

    def _report(self, build: int, body: bytes) -> None:
        length = int(self.headers.get("Report-Length", len(body)))
        report, rest = json.loads(body[:length]), body[length:]
        self.fake.reports.append(report)
        log = self.fake.logs.setdefault(build, bytearray())
        log[report["log_offset"] :] = rest[: report["log_length"]]
        reason = (
            "Not that." if self.fake.refuses_report else self._attached(report, rest[report["log_length"] :])
        )
        if reason:
            return self._send(422, {"error": reason, "state": "failed", "reason": reason})
        may_follow = self.headers.get("Next-For") == TOKEN and self.fake.next_orders
        order = asdict(self.fake.next_orders.pop(0)) if may_follow else None
        return self._send(200, {"state": "succeeded", "reason": "", "next": order})

    def _attached(self, report: dict[str, Any], content: bytes) -> str:
        """Keep the wheels that came with a report; return why one of them is refused."""
        reason = ""
        for wheel in report["wheels"] if report["attached"] else []:
            reason = reason or self.fake.refusal_of(wheel["filename"])
            self.fake.uploads[wheel["filename"]] = bytearray(content[: wheel["size"]])
            content = content[wheel["size"] :]
        assert content == b""
        return reason

    def _wheel(self, body: bytes) -> None:
        if self.fake.refuses_upload:
            return self._send(422, {"error": "That was not ordered."})
        if reason := self.fake.refusal_of(unquote(self.path.rpartition("/")[2])):
            return self._send(422, {"error": reason})
        assert len(self.headers["Upload-Sha256"]) == 64
        if self.command == "PATCH" and int(self.headers["Upload-Offset"]) != len(self._file()):
            return self._send(400, {"error": "Not from there."})
        if self.command == "PATCH":
            self._keep(body)
        return self._raw(200, b"", {"Upload-Offset": str(len(self._file()))})

    def _file(self) -> bytearray:
        return self.fake.uploads.setdefault(self.path.rpartition("/")[2], bytearray())

    def _keep(self, body: bytes) -> None:
        self._file().extend(body)

    def _send(self, status: int, content: object) -> None:
        self._raw(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _raw(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
