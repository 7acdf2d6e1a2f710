"""A wire between a client and a server, which notes what is asked and breaks when it is told to."""

import http.client
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

# These are between two ends of a connection, of which the wire has two.
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade"}


@dataclass(frozen=True)
class Passed:
    """A request that went over the wire."""

    method: str
    path: str
    range: str
    status: int


class Wire:
    """An address on loopback that leads to a server."""

    def __init__(self, address: str) -> None:
        self._address = urlsplit(address)
        self.passed: list[Passed] = []
        self._cuts: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.wire = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def cut(self, ending: str) -> None:
        """Break once, in the middle of the next body of a path with this ending."""
        self._cuts.append(ending)

    def asked(self, ending: str, method: str = "GET") -> list[Passed]:
        """Return the requests for paths with this ending."""
        return [each for each in self.passed if each.path.endswith(ending) and each.method == method]

    def is_cut(self, method: str, path: str) -> bool:
        """Tell whether to break now; it is told once."""
        ending = next((each for each in self._cuts if method == "GET" and path.endswith(each)), None)
        if ending:
            self._cuts.remove(ending)
        return ending is not None

    def ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask the server."""
        connection = http.client.HTTPConnection(self._address.netloc, timeout=60)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True, skip_host=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        wire: Wire = self.server.wire
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        answer, body = wire.ask(self.command, self.path, headers)
        wire.passed.append(Passed(self.command, self.path, self.headers.get("Range", ""), answer.status))
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.end_headers()
        if wire.is_cut(self.command, self.path):
            body, self.close_connection = body[: len(body) // 2], True
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; the tests look at what passed."""
