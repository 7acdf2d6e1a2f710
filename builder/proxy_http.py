"""How the package proxy speaks HTTP with a build that may be hostile: little, bounded, and to the point.

What may be asked for and what is answered is the decision of a `Shelf`.
"""

import io
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from threading import Event, Lock, Semaphore
from typing import Any, Protocol

from builder.account import Allowance
from builder.upstream import Upstream

logger = logging.getLogger(__name__)

# pip's longest requests have some 2 KiB.
_LARGEST_HEAD = 16 << 10
_END_OF_HEAD = b"\r\n\r\n"
# How long threads have to notice that a build is over.
_PATIENCE_S = 5.0


class Refused(Exception):
    """A request is answered by a status and a short text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Broken(Exception):
    """An answer cannot be ended as it began, so its connection is cut."""


@dataclass(frozen=True)
class Answer:
    """What is sent; the blocks come one by one, and may raise Broken."""

    content_type: str
    length: int | None
    blocks: Iterator[bytes]


class Shelf(Protocol):
    """Decides what may be had."""

    def ask(self, stop: Event) -> Upstream:
        """Return connections to the indexes, for one thread."""

    def answer(self, path: str, asks: Upstream, *, is_head: bool) -> AbstractContextManager[Answer]:
        """Answer for a path; raises Refused."""


class Server(ThreadingMixIn, UnixStreamServer):
    """Serves a bounded number of connections, each in a thread; more wait in the system's queue."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, listener: socket.socket, shelf: Shelf, allowance: Allowance, stop: Event) -> None:
        super().__init__("", _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.shelf = shelf
        self.allowance = allowance
        self.stop = stop
        self.is_crowded = False
        self._slots = Semaphore(allowance.connections)
        self._open: set[socket.socket] = set()
        self._lock = Lock()

    @property
    def port(self) -> int:
        """The port, of a server that has one."""
        return int(self.socket.getsockname()[1])

    def end(self) -> None:
        """Close all connections and wait a little for their threads."""
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                _shut(connection)
        deadline = time.monotonic() + _PATIENCE_S
        for _ in range(self.allowance.connections):
            if not self._slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
                logger.warning("A thread of the package proxy is still waiting for upstream.")
                return

    def process_request(self, request: Any, client_address: Any) -> None:  # Any: as the library has it
        """Start a thread, when there may be one more."""
        while not self._slots.acquire(timeout=0.05):
            self.is_crowded = True
            if self.stop.is_set():
                self.shutdown_request(request)
                return
        self.is_crowded = False
        with self._lock:
            self._open.add(request)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # Any: as above
        """Serve a connection in a thread of its own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def shutdown_request(self, request: Any) -> None:  # Any: as above
        """Close a connection."""
        with self._lock:
            self._open.discard(request)
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # Any: as above
        """Log what should not happen; nothing of a build's may end the proxy."""
        logger.exception("A request to the package proxy failed.")


def listen(path: Path | None, shelf: Shelf, allowance: Allowance, stop: Event) -> Server:
    """Return a server on a unix socket that everyone who sees it may use, or else on a loopback port."""
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=Server.request_queue_size)
    else:
        listener = _unix_listener(path)
    return Server(listener, shelf, allowance, stop)


def _unix_listener(path: Path) -> socket.socket:
    """Return a listener on a unix socket, whose path may be longer than the 107 bytes of an address."""
    path.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        listener.listen(Server.request_queue_size)
        # The user inside may be another; the folder decides who comes here.
        path.chmod(0o666)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


def _shut(connection: socket.socket) -> None:
    """Let nothing more pass through a connection, so that its thread wakes up."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("A connection was closed already.")


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        """Begin a connection."""
        super().setup()
        # Requests are read below, within limits that the library does not have.
        self.rfile.close()
        self._arrived = b""
        self.requestline, self.command, self.request_version = "", "", self.protocol_version
        if self.connection.family != socket.AF_UNIX:
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        """Answer requests until one side has enough."""
        with self.server.shelf.ask(self.server.stop) as self._asks:
            try:
                super().handle()
            except OSError as error:
                # Clients go away; the library takes care of timeouts only.
                logger.debug("A connection of the package proxy ended: %s.", error)

    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        head = self._read_head()
        self.connection.settimeout(self.server.allowance.body_s)
        if head is None:
            self.close_connection = True
            return
        if not head:
            self.send_error(431)
            return
        self.rfile = io.BytesIO(head)
        super().handle_one_request()

    def do_GET(self) -> None:
        """Answer, or say in a word why not."""
        try:
            self._check()
            with self.server.shelf.answer(self.path, self._asks, is_head=self.command == "HEAD") as answer:
                self._send(answer)
        except Refused as refused:
            self.send_error(refused.status, str(refused))
        except Broken as broken:
            logger.warning("An answer of the package proxy was cut: %s", broken)
            self.close_connection = True

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with a status and a line of text, and close."""
        # The library knows no other methods than ours, and says that it lacks them.
        code = 405 if code == 501 else code
        # Whatever was asked in, a client gets an answer with a head.
        self.request_version = self.protocol_version
        text = (message if code != 405 else "") or self.responses.get(code, ("Error", ""))[0]
        body = text.encode(errors="replace") + b"\n"
        self.send_response(code)
        if code == 405:
            self.send_header("Allow", "GET, HEAD")
        self._send_head("text/plain; charset=utf-8", len(body), is_last=True)
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Say who answers; the build need not know with which Python."""
        return "piwheels"

    def log_message(self, format: str, *args: object) -> None:
        """Leave requests to the log's most talkative level, and escape what a build put into them."""
        logger.debug("Package proxy: %a", format % args)

    def _read_head(self) -> bytes | None:
        """Return a request's head; nothing of one that is too large, None if there is no other request."""
        deadline = time.monotonic() + self.server.allowance.head_s
        while (end := self._arrived.find(_END_OF_HEAD)) < 0:
            left_s = deadline - time.monotonic()
            if len(self._arrived) > _LARGEST_HEAD:
                return b""
            if left_s <= 0:
                return None
            self.connection.settimeout(left_s)
            try:
                block = self.connection.recv(4096)
            except OSError:
                return None
            if not block:
                return None
            self._arrived += block
        end += len(_END_OF_HEAD)
        if end > _LARGEST_HEAD:
            return b""
        head, self._arrived = self._arrived[:end], self._arrived[end:]
        return head

    def _check(self) -> None:
        """Refuse what no client of an index sends."""
        if self.request_version != "HTTP/1.1":
            raise Refused(505, "")
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            raise Refused(403, "A request here has no body.")

    def _send(self, answer: Answer) -> None:
        """Send an answer block by block."""
        self.send_response(200)
        self._send_head(answer.content_type, answer.length, is_last=self.server.is_crowded)
        if self.command == "HEAD":
            return
        is_chunked = answer.length is None
        for block in answer.blocks:
            if block:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if is_chunked else block)
        if is_chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send_head(self, content_type: str, length: int | None, *, is_last: bool) -> None:
        """Send an answer's head."""
        self.send_header("Content-Type", content_type)
        if length is not None:
            self.send_header("Content-Length", str(length))
        elif self.command != "HEAD":
            self.send_header("Transfer-Encoding", "chunked")
        if is_last:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
