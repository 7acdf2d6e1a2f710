"""The HTTP face of a fake PyPI: what it answers to whom, over a state that a subclass has.

It serves what the real one serves to a mirror and to pip: the simple API as HTML and as PEP 691 JSON, the
JSON API, XML-RPC, and the files with Range; ETags and 304, and the faults that are switched on.
"""

import hashlib
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from tests import fake_pypi_journal as journal
from tests import fake_pypi_pages as pages
from tests.fake_pypi_faults import Fault, Faults, Request
from tests.fake_pypi_journal import Entry
from tests.fake_pypi_pages import FakeProject

SIMPLE, JSON_API = "simple", "pypi"
# A call of ours has some hundred bytes.
MAX_CALL = 10_000


class _Handler(BaseHTTPRequestHandler):
    """Answers requests from the state of the server's upstream."""

    server: "_Server"
    protocol_version = "HTTP/1.1"
    # Headers and body leave in two writes, and Nagle's algorithm would hold the second for 40 ms.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(lambda: _answer(self.server.upstream, self))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), MAX_CALL))
        self._answer(lambda: _call(self.server.upstream, self, body))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; the tests look at `requests`."""

    def _answer(self, usual: Callable[[], pages.Answer]) -> None:
        request = Request(self.command, self.path, dict(self.headers.items()))
        self.server.upstream.note(request)
        fault = self.server.upstream.next(request)
        if fault and fault.pause_s:
            time.sleep(fault.pause_s)
        self._send(_failed(fault) if fault and fault.replaces else usual(), fault)

    def _send(self, answer: pages.Answer, fault: Fault | None) -> None:
        kept = fault.kept if fault else None
        body = answer.body if fault is None or fault.is_cut else answer.body[:kept]
        self.send_response_only(answer.status)
        # An answer that nothing changed has no body, and no length either.
        if answer.status != 304:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        sent = b"" if self.command == "HEAD" else body[:kept]
        self.close_connection |= kept is not None and self.command != "HEAD"
        # In one piece: each more wakes the client once more, and costs as much as a page.
        self._headers_buffer += [b"\r\n", sent]
        self.flush_headers()


class _Server(ThreadingHTTPServer):
    """A server that does not mind clients that go away."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], upstream: "Upstream") -> None:
        super().__init__(address, _Handler)
        self.upstream = upstream

    def handle_error(self, request: Any, client_address: Any) -> None:  # Any: as the library has it
        """Say nothing of a connection that a client closed; that is what tests of patience do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Upstream(Faults, ABC):
    """A server, what it can do, and what goes wrong; what it has is for a subclass to say.

    With `json` off it answers every request for the simple API in HTML, as PyPI's proxies do.  With
    `json_api` off it has no JSON API, with `xmlrpc` off it refuses calls, with `serials` off the simple API
    tells none, and with `etags` off nothing can be asked for conditionally.
    """

    def __init__(
        self,
        *,
        json: bool = True,
        json_api: bool = True,
        xmlrpc: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__()
        self.json = json
        self.json_api = json_api
        self.xmlrpc = xmlrpc
        self.serials = True
        self.etags = True
        self.page_rows = journal.PAGE_ROWS
        self._host = host
        self._server = _Server((host, port), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return f"http://{self._host}:{self._server.server_port}"

    @property
    def simple_url(self) -> str:
        """What to give to pip as its index, and to `PyPI`."""
        return f"{self.url}/simple/"

    @abstractmethod
    def note(self, request: Request) -> None:
        """Take note of a request."""

    @abstractmethod
    def last_serial(self) -> int:
        """Return the serial of the journal's last entry."""

    @abstractmethod
    def since(self, serial: int, limit: int) -> list[Entry]:
        """Return the first entries of the journal after a serial."""

    @abstractmethod
    def listed(self) -> tuple[int, Iterable[tuple[str, int]]]:
        """Return the root page's serial, and the names that it shows with theirs."""

    @abstractmethod
    def shown(self, name: str, api: str) -> FakeProject | None:
        """Return what one of the APIs shows of the project with a canonical name."""


def _failed(fault: Fault) -> pages.Answer:
    if fault.answer is not None:
        return fault.answer
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
    headers |= {"Location": fault.location} if fault.location is not None else {}
    return pages.Answer(b"as the test wants it", status=fault.status, headers=headers)


def _answer(upstream: Upstream, request: BaseHTTPRequestHandler) -> pages.Answer:
    """Answer a question that nothing shall go wrong with."""
    answer = _found(upstream, request)
    if answer.status != 200 or not upstream.etags:
        return answer
    etag = answer.headers.get("ETag") or f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    if etag in request.headers.get("If-None-Match", ""):
        return pages.Answer(b"", status=304, headers={"ETag": etag})
    return pages.Answer(answer.body, answer.content_type, headers=answer.headers | {"ETag": etag})


def _found(upstream: Upstream, request: BaseHTTPRequestHandler) -> pages.Answer:
    """Return what is at an address."""
    path = unquote(urlsplit(request.path).path)
    accepts_json = upstream.json and pages.SIMPLE_JSON in request.headers.get("Accept", "")
    match path.strip("/").split("/"):
        case ["simple"]:
            serial, projects = upstream.listed()
            return pages.root(projects, serial, accepts_json, upstream.serials)
        case ["simple", name] if not path.endswith("/") or name != canonicalize_name(name):
            return pages.Answer(b"", status=301, headers={"Location": f"/simple/{canonicalize_name(name)}/"})
        case ["simple", name] if project := upstream.shown(name, SIMPLE):
            answer = pages.detail_json if accepts_json else pages.detail_html
            return answer(upstream.url, project, upstream.serials)
        case ["pypi", name, "json"] if upstream.json_api and (
            project := upstream.shown(canonicalize_name(name), JSON_API)
        ):
            return pages.json_api(upstream.url, project)
        case ["files", name, filename] if project := upstream.shown(name, SIMPLE):
            for file in project.files:
                if file.filename == filename:
                    return pages.file(file, request.headers.get("Range", ""))
    return pages.NOT_FOUND


def _call(upstream: Upstream, request: BaseHTTPRequestHandler, body: bytes) -> pages.Answer:
    """Answer a call of XML-RPC that nothing shall go wrong with."""
    if not upstream.xmlrpc:
        return pages.Answer(b"Method Not Allowed", status=405, headers={"Allow": "GET, HEAD"})
    # The real one knows its calls by this, too.
    if urlsplit(request.path).path != "/pypi" or request.headers.get_content_type() != "text/xml":
        return pages.NOT_FOUND
    answer = journal.call(
        body,
        {
            "changelog_last_serial": upstream.last_serial,
            "changelog_since_serial": lambda serial: [
                entry.row for entry in upstream.since(journal.as_serial(serial), upstream.page_rows)
            ],
            "list_packages_with_serial": lambda: dict(upstream.listed()[1]),
        },
    )
    return pages.Answer(answer, "text/xml")
