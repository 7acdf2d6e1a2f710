"""What goes wrong between a fake PyPI and whoever asks it, switched on by a test."""

import threading
from dataclasses import dataclass

from tests import fake_pypi_journal as journal
from tests.fake_pypi_pages import Answer


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Fault:
    """What goes wrong, and how many times more."""

    path_prefix: str
    times: int
    status: int = 200
    retry_after: int | None = None
    kept: int | None = None  # how many bytes of the body are sent ...
    is_cut: bool = True  # ... and whether the client is told that there were more
    pause_s: float = 0
    location: str | None = None
    answer: Answer | None = None  # what is said instead
    every: int = 1  # 2: every second of the requests that it is about
    seen: int = 0

    @property
    def replaces(self) -> bool:
        """Whether the client gets another answer altogether."""
        return self.status != 200 or self.answer is not None

    def happens_to(self, request: Request) -> bool:
        """Count a request, and say whether this happens to it."""
        if self.times <= 0 or not request.path.startswith(self.path_prefix):
            return False
        self.seen += 1
        if (self.seen - 1) % self.every:
            return False
        self.times -= 1
        return True


class Faults:
    """The faults that are switched on; the one that was switched on first happens first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def next(self, request: Request) -> Fault | None:
        """Return what shall go wrong with a request."""
        with self._lock:
            return next((fault for fault in self._faults if fault.happens_to(request)), None)

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        with self._lock:
            self._faults.append(fault)

    def fail(
        self,
        path_prefix: str,
        status: int = 503,
        times: int = 1,
        retry_after: int | None = None,
        *,
        every: int = 1,
    ) -> None:
        """Answer requests below a path with a status, that many times."""
        self.add(Fault(path_prefix, times, status=status, retry_after=retry_after, every=every))

    def flap(self, path_prefix: str, status: int = 404, times: int = 1) -> None:
        """Answer every second request below a path with a status, beginning with the next."""
        self.fail(path_prefix, status, times, every=2)

    def truncate(self, path_prefix: str, kept: int = 20, times: int = 1) -> None:
        """End the connection after some bytes of the body."""
        self.add(Fault(path_prefix, times, kept=kept))

    def garble(self, path_prefix: str, kept: int = 20, times: int = 1) -> None:
        """Answer with the first bytes of the body as if they were all, as a broken cache does."""
        self.add(Fault(path_prefix, times, kept=kept, is_cut=False))

    def delay(self, path_prefix: str, seconds: float, times: int = 1) -> None:
        """Answer late."""
        self.add(Fault(path_prefix, times, pause_s=seconds))

    def redirect(self, path_prefix: str, location: str, times: int = 1) -> None:
        """Send requests below a path elsewhere."""
        self.add(Fault(path_prefix, times, status=301, location=location))

    def reply(
        self, path_prefix: str, body: bytes, content_type: str = "text/xml", status: int = 200, times: int = 1
    ) -> None:
        """Answer with that, whatever was asked."""
        self.add(Fault(path_prefix, times, answer=Answer(body, content_type, status)))

    def refuse_calls(self, code: int, text: str, times: int = 1) -> None:
        """Answer calls of XML-RPC with a fault."""
        self.reply("/pypi", journal.fault(code, text), times=times)

    def limit_calls(self, seconds: int = 60, times: int = 1) -> None:
        """Answer calls of XML-RPC with the fault for those who call too often."""
        self.reply("/pypi", journal.limited(seconds), times=times)

    def mend(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults.clear()
