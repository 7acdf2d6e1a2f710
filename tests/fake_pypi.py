"""A PyPI of a test's own: a real HTTP server over a state that the test changes, with faults to switch on.

It serves what the real one serves to a mirror and to pip: the simple API as HTML and as PEP 691 JSON, the
JSON API, and the files with Range.  Each change gets a serial.

    with FakePyPI() as upstream:
        upstream.add_sdist("demo", "1.0")
        PyPI(upstream.simple_url).project("demo")
"""

import copy
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from tests import fake_pypi_pages as pages
from tests.fake_pypi_pages import FakeFile, FakeProject
from tests.sdists import make_wheel, pure_sdist, stem

UPLOADED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class _Fault:
    """What goes wrong, and how many times more."""

    path_prefix: str
    times: int
    status: int = 200
    retry_after: int | None = None
    kept: int | None = None  # how many bytes of the body are sent
    pause_s: float = 0
    location: str | None = None


class _Server(ThreadingHTTPServer):
    """A server that does not mind clients that go away."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # Any: as the library has it
        """Say nothing of a connection that a client closed; that is what tests of patience do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class FakePyPI:
    """The server and its state.

    With `json` off it answers every request for the simple API in HTML, as PyPI's proxies do.  With
    `json_api` off it has no JSON API.
    """

    def __init__(self, *, json: bool = True, json_api: bool = True, host: str = "127.0.0.1") -> None:
        self.json = json
        self.json_api = json_api
        self.serial = 1000
        self.projects: dict[str, FakeProject] = {}
        self.requests: list[Request] = []
        self._stale: dict[str, FakeProject] = {}
        self._faults: list[_Fault] = []
        # The state is read by the server's threads and changed by the test's.
        self._lock = threading.RLock()
        self._host = host
        self._server = _Server((host, 0), _handler_of(self))
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

    # What the upstream's people do.

    def add_project(self, name: str) -> FakeProject:
        """Register a project without versions, or return the one that has the name."""
        with self._lock:
            key = canonicalize_name(name)
            if key not in self.projects:
                self.projects[key] = FakeProject(name)
                self._changed(key)
            return self.projects[key]

    def add_version(self, name: str, version: str) -> None:
        """Release a version without files."""
        with self._lock:
            self.add_project(name).versions.setdefault(version, [])
            self._changed(name)

    def add_sdist(
        self,
        name: str,
        version: str,
        content: bytes | None = None,
        *,
        filename: str | None = None,
        uploaded_at: datetime = UPLOADED_AT,
        requires_python: str | None = None,
    ) -> FakeFile:
        """Upload an sdist; without content it is one that builds a pure wheel."""
        return self._add(
            name,
            version,
            FakeFile(
                filename or f"{stem(name, version)}.tar.gz",
                "sdist",
                pure_sdist(name, version) if content is None else content,
                uploaded_at,
                requires_python,
            ),
        )

    def add_wheel(
        self,
        name: str,
        version: str,
        content: bytes | None = None,
        *,
        tag: str = "py3-none-any",
        filename: str | None = None,
        uploaded_at: datetime = UPLOADED_AT,
        requires_python: str | None = None,
    ) -> FakeFile:
        """Upload a wheel; without content it is a valid one with that tag."""
        return self._add(
            name,
            version,
            FakeFile(
                filename or f"{stem(name, version)}-{tag}.whl",
                "bdist_wheel",
                make_wheel(name, version, tag) if content is None else content,
                uploaded_at,
                requires_python,
            ),
        )

    def add_file(self, name: str, version: str, filename: str, packagetype: str) -> FakeFile:
        """Upload a file of another kind, as ("demo-1.0.win32.exe", "bdist_wininst")."""
        return self._add(name, version, FakeFile(filename, packagetype, b"MZ", UPLOADED_AT))

    def yank(self, name: str, version: str, reason: str = "") -> None:
        """Yank all files of a version."""
        self._yank(name, version, reason)

    def unyank(self, name: str, version: str) -> None:
        """Take the yank of a version back."""
        self._yank(name, version, None)

    def remove(self, name: str, version: str | None = None, filename: str | None = None) -> None:
        """Remove a project, one of its versions, or one file of that version."""
        with self._lock:
            key = canonicalize_name(name)
            if version is None:
                self.serial += 1
                del self.projects[key]
                return
            versions = self.projects[key].versions
            if filename is None:
                del versions[version]
            else:
                versions[version] = [file for file in versions[version] if file.filename != filename]
            self._changed(key)

    def spell(self, name: str, spelling: str) -> None:
        """Spell a project's name otherwise."""
        with self._lock:
            self.projects[canonicalize_name(name)].name = spelling
            self._changed(name)

    def summarise(self, name: str, summary: str | None) -> None:
        """Give a project another summary."""
        with self._lock:
            self.projects[canonicalize_name(name)].summary = summary
            self._changed(name)

    def quarantine(self, name: str, reason: str | None = None) -> None:
        """Hide a project's files until somebody has looked at it."""
        self.set_status(name, "quarantined", reason)

    def set_status(self, name: str, status: str | None, reason: str | None = None) -> None:
        """Give a project a status (PEP 792); None is an active one."""
        with self._lock:
            project = self.projects[canonicalize_name(name)]
            project.status, project.status_reason = status, reason
            # The real one writes nothing into its journal when a project is archived.
            if status != "archived":
                self._changed(name)

    # What goes wrong.

    def fail(
        self, path_prefix: str, status: int = 503, times: int = 1, retry_after: int | None = None
    ) -> None:
        """Answer requests below a path with a status, that many times."""
        self._fault(_Fault(path_prefix, times, status=status, retry_after=retry_after))

    def truncate(self, path_prefix: str, kept: int = 20, times: int = 1) -> None:
        """End the connection after some bytes of the body."""
        self._fault(_Fault(path_prefix, times, kept=kept))

    def delay(self, path_prefix: str, seconds: float, times: int = 1) -> None:
        """Answer late."""
        self._fault(_Fault(path_prefix, times, pause_s=seconds))

    def redirect(self, path_prefix: str, location: str, times: int = 1) -> None:
        """Send requests below a path elsewhere."""
        self._fault(_Fault(path_prefix, times, status=301, location=location))

    def go_stale(self, name: str) -> None:
        """Serve a project as it is now, whatever happens to it, as a cache would."""
        with self._lock:
            self._stale[canonicalize_name(name)] = copy.deepcopy(self.projects[canonicalize_name(name)])

    def refresh(self, name: str) -> None:
        """Serve a project as it is again."""
        with self._lock:
            del self._stale[canonicalize_name(name)]

    def paths(self) -> list[str]:
        """Return the paths that were asked for, in their order."""
        return [request.path for request in self.requests]

    # What the server's threads ask for.

    def note(self, request: Request) -> _Fault | None:
        """Log a request and return what shall go wrong with it."""
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.times > 0 and request.path.startswith(fault.path_prefix):
                    fault.times -= 1
                    return fault
            return None

    def shown(self, name: str) -> FakeProject | None:
        """Return a copy of the project that is served under a canonical name."""
        with self._lock:
            return copy.deepcopy(self._stale.get(name) or self.projects.get(name))

    def listed(self) -> list[FakeProject]:
        """Return copies of the projects that the root page shows."""
        with self._lock:
            return [
                copy.deepcopy(project)
                for _, project in sorted(self.projects.items())
                if project.status != "quarantined"
            ]

    def _add(self, name: str, version: str, file: FakeFile) -> FakeFile:
        with self._lock:
            self.add_project(name).versions.setdefault(version, []).append(file)
            self._changed(name)
            return file

    def _yank(self, name: str, version: str, reason: str | None) -> None:
        with self._lock:
            for file in self.projects[canonicalize_name(name)].versions[version]:
                file.yanked = reason
            self._changed(name)

    def _changed(self, name: str) -> None:
        self.serial += 1
        self.projects[canonicalize_name(name)].serial = self.serial

    def _fault(self, fault: _Fault) -> None:
        with self._lock:
            self._faults.append(fault)


def _handler_of(upstream: FakePyPI) -> type[BaseHTTPRequestHandler]:
    """Return the class that answers requests from that state."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body leave in two writes, and Nagle's algorithm would hold the second for 40 ms.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            fault = upstream.note(Request(self.command, self.path, dict(self.headers.items())))
            if fault and fault.pause_s:
                time.sleep(fault.pause_s)
            if fault and fault.status != 200:
                headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
                headers |= {"Location": fault.location} if fault.location is not None else {}
                self._send(pages.Answer(b"as the test wants it", status=fault.status, headers=headers))
            else:
                self._send(_answer(upstream, self), fault.kept if fault else None)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing; the tests look at `requests`."""

        def _send(self, answer: pages.Answer, kept: int | None = None) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(answer.body[:kept])
            if kept is not None:
                self.close_connection = True

    return Handler


def _answer(upstream: FakePyPI, request: BaseHTTPRequestHandler) -> pages.Answer:
    """Answer a request that nothing shall go wrong with."""
    path = unquote(urlsplit(request.path).path)
    accepts_json = upstream.json and pages.SIMPLE_JSON in request.headers.get("Accept", "")
    match path.strip("/").split("/"):
        case ["simple"]:
            return pages.root(upstream.listed(), upstream.serial, accepts_json)
        case ["simple", name] if not path.endswith("/") or name != canonicalize_name(name):
            return pages.Answer(b"", status=301, headers={"Location": f"/simple/{canonicalize_name(name)}/"})
        case ["simple", name] if project := upstream.shown(name):
            answer = pages.detail_json if accepts_json else pages.detail_html
            return answer(upstream.url, project)
        case ["pypi", name, "json"] if upstream.json_api and (
            project := upstream.shown(canonicalize_name(name))
        ):
            return pages.json_api(upstream.url, project)
        case ["files", name, filename] if project := upstream.shown(name):
            for file in project.files:
                if file.filename == filename:
                    return pages.file(file, request.headers.get("Range", ""))
    return pages.NOT_FOUND
