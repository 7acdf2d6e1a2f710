"""Receivers of messages on loopback: a web server and a mail server, which keep what comes."""

import socketserver
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Received:
    """What has come: of each message its path, headers and body."""

    port: int = 0
    messages: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    # What is answered; a test has things go wrong by another one.
    status: int = 200


@contextmanager
def _serving(server):
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def web():
    """Serve one that takes POSTs."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.messages.append((self.path, dict(self.headers), body))
            self.send_response(received.status)
            self.send_header("Content-Length", "0")
            if received.status == 302:
                self.send_header("Location", f"http://127.0.0.1:{received.port}/elsewhere")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.port = server.server_port
    with _serving(server):
        yield received


@contextmanager
def mail():
    """Serve one that speaks as much of SMTP as a mail takes."""
    received = Received(status=250)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.answer("220 here")
            while line := self.rfile.readline():
                verb = line.split()[0].upper() if line.split() else b""
                if verb == b"QUIT":
                    self.answer("221 bye")
                    return
                if verb == b"DATA":
                    self.answer("354 go on")
                    self.answer(self.take())
                elif verb == b"EHLO":
                    self.answer("250 here")
                else:
                    self.answer("250 fine")

        def take(self):
            body = b"".join(iter(self.rfile.readline, b".\r\n"))
            if received.status == 250:
                received.messages.append(("", {}, body))
                return "250 taken"
            return f"{received.status} not now"

        def answer(self, text):
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    received.port = server.server_address[1]
    with _serving(server):
        yield received
