"""A journal of a test's own, over XML-RPC as PyPI has it."""

import threading
import xmlrpc.client
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FakeJournal:
    """A server and its events; `answers` are sent first, in place of true ones."""

    events: list[tuple[str | None, str, int]] = field(default_factory=list)  # name, action, serial
    last: int = 1000
    page_rows: int = 50_000
    answers: list[tuple[int, str, bytes, dict[str, str]]] = field(default_factory=list)
    calls: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    def happen(self, name, action="new release", serial=None):
        """Write an event into the journal, and return its serial."""
        self.last = serial or self.last + 1
        self.events.append((name, action, self.last))
        return self.last

    def answer(self, body, *, status=200, content_type="text/xml", **headers):
        """Have the next question answered with that."""
        self.answers.append(
            (status, content_type, body if isinstance(body, bytes) else body.encode(), headers)
        )

    def fault(self, code, text):
        """Have the next question answered with a fault."""
        self.answer(xmlrpc.client.dumps(xmlrpc.client.Fault(code, text)))

    def true_answer(self, method, arguments):
        """Return what PyPI would answer."""
        if method == "changelog_last_serial":
            return self.last
        events = sorted(self.events, key=lambda event: event[-1])
        rows = [[n, "1.0", 1700000000, a, s] for n, a, s in events if s > arguments[0]]
        return rows[: self.page_rows]

    def __enter__(self):
        journal = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                arguments, method = xmlrpc.client.loads(body)
                journal.calls.append((method, arguments))
                if journal.answers:
                    status, kind, content, headers = journal.answers.pop(0)
                else:
                    value = journal.true_answer(method, arguments)
                    content = xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True).encode()
                    status, kind, headers = 200, "text/xml", {}
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/pypi"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
