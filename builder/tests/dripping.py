"""A server whose answer never ends: a few bytes now and then, within every timeout."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

GZIP = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xff"  # a name follows, which a zero byte ends
OK = b"HTTP/1.1 200 OK\r\n"
# Where an answer never comes to its end, and of what more and more comes there.
PLACES = [
    pytest.param(OK + b"X-Endless: ", b"x", id="head"),
    pytest.param(OK + b"Content-Length: 99999999\r\n\r\n", b"x", id="body"),
    pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0", id="size of a chunk"),
    pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: x\r\n", id="what follows the chunks"),
    pytest.param(OK + b"Content-Encoding: gzip\r\n\r\n" + GZIP, b"x", id="head of what is encoded"),
]


@contextmanager
def dripping(begin: bytes, drop: bytes, *, pause_s: float = 0.02) -> Iterator[str]:
    """Answer so to everything until this is left, or the client has gone; yield the server's address."""
    over = threading.Event()

    class Drip(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(begin)
            while not over.wait(pause_s):
                try:
                    self.wfile.write(drop)
                except OSError:
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            over.set()
            server.shutdown()
            thread.join()
