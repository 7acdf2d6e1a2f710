"""A package index of a test's own: a real HTTP server with faults to switch on."""

import base64
import hashlib
import io
import json
import ssl
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JSON = "application/vnd.pypi.simple.v1+json"


def make_wheel(name="tiny", version="1.0", size=0, requires="") -> bytes:
    """Return a wheel that pip installs."""
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": b"answer = 42\n" + b"#" * size,
        f"{info}/METADATA": make_metadata(name, version, requires),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as wheel:
        for path, content in {**members, f"{info}/RECORD": (record + f"{info}/RECORD,,\n").encode()}.items():
            # With ZipInfo's own date, so that two wheels are the same.
            wheel.writestr(zipfile.ZipInfo(path), content)
    return archive.getvalue()


def make_metadata(name="tiny", version="1.0", requires="") -> bytes:
    more = f"Requires-Dist: {requires}\n" if requires else ""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}".encode()


class PackageIndex:
    """The index; `files` has what lies where, `pages` the entries of each package."""

    def __init__(self, *, json: bool = True) -> None:
        self.json = json
        self.chunked = False
        self.files: dict[str, bytes] = {}
        self.pages: dict[str, list[dict]] = {}
        self.raw: dict[str, tuple[str, bytes]] = {}  # path -> content type, body
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.statuses: dict[str, list[int]] = {}  # path -> what comes before the real answer; 0 hangs up
        self.locations: dict[str, str] = {}
        self.pause_s = 0.0
        self.cut = False
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.index = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._scheme = "http"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def encrypt(self, certificate) -> None:
        """Speak TLS from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https"

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    @property
    def simple(self) -> str:
        return f"{self.url}/simple/"

    def add(self, content=None, *, name="tiny", version="1.0", filename=None, **fields) -> str:
        """Offer a file, with its sha256 unless `fields` says otherwise; return its URL."""
        content = make_wheel(name, version) if content is None else content
        filename = filename or f"{name}-{version}-py3-none-any.whl"
        self.files[f"/files/{filename}"] = content
        hashes = {"sha256": hashlib.sha256(content).hexdigest()}
        entry = {"filename": filename, "url": f"../../files/{filename}", "hashes": hashes, **fields}
        self.pages.setdefault(name, []).append(entry)
        return f"{self.url}/files/{filename}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of clients that went away."""


def _html(entries) -> str:
    lines = []
    for entry in entries:
        fragment = "".join(f"#{name}={value}" for name, value in entry["hashes"].items())
        extra = f' data-requires-python="{entry["requires-python"]}"' if "requires-python" in entry else ""
        extra += ' data-yanked="broken"' if entry.get("yanked") else ""
        extra += ' data-core-metadata="true"' if entry.get("core-metadata") else ""
        lines.append(f'<a href="{entry["url"]}{fragment}"{extra}>{entry["filename"]}</a><br>')
    return "<!DOCTYPE html><html><body><a href='../'>up</a>" + "\n".join(lines) + "</body></html>"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        index = self.server.index
        index.asked.append((self.path, dict(self.headers.items())))
        time.sleep(index.pause_s)
        if index.statuses.get(self.path):
            status = index.statuses[self.path].pop(0)
            if status:
                self._send(status, "text/plain", b"as the test wants it")
            self.close_connection = True
        elif self.path in index.locations:
            self._send(302, "text/plain", b"", Location=index.locations[self.path])
        else:
            self._serve()

    def _serve(self):
        index = self.server.index
        name = self.path.removeprefix("/simple/").strip("/")
        if self.path in index.raw:
            self._send(200, *index.raw[self.path])
        elif self.path in index.files:
            self._send(200, "application/octet-stream", index.files[self.path])
        elif self.path.startswith("/simple/") and name in index.pages:
            entries = index.pages[name]
            if index.json and JSON in self.headers["Accept"]:
                page = {"meta": {"api-version": "1.1"}, "name": name, "files": entries}
                self._send(200, JSON, json.dumps(page).encode())
            else:
                self._send(200, "text/html; charset=utf-8", _html(entries).encode())
        else:
            self._send(404, "text/plain", b"not here")

    def _send(self, status, content_type, body, **headers):
        index = self.server.index
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Set-Cookie", "followed=1")
        for name, value in headers.items():
            self.send_header(name, value)
        if index.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if index.cut:
            body, self.close_connection = body[: len(body) // 2], True
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Say nothing; the tests look at `asked`."""
