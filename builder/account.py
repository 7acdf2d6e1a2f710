"""What one build took through the package proxy, what it may take, and what went wrong on the way."""

from dataclasses import dataclass
from threading import Lock

from builder.contract import MAX_FETCHED, Fetched

# More lines than anybody reads.
_MOST_COMPLAINTS = 100


@dataclass(frozen=True)
class Allowance:
    """What one build may take, and how long it may keep a connection waiting."""

    total_bytes: int = 2 << 30
    requests: int = 5_000
    connections: int = 32  # at the same time; more wait
    head_s: float = 10.0  # for a whole request to come, from the answer before it on
    body_s: float = 60.0  # for a block of an answer to leave


class OverBudget(Exception):
    """The build took more than it may; the text says of what."""


class Account:
    """The account of one build, written to by the proxy's threads."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._lock = Lock()
        self._bytes = 0
        self._requests = 0
        # The keys of dicts, as these keep their order: each is noted once.
        self._fetched: dict[Fetched, None] = {}
        self._complaints: dict[str, None] = {}
        self._failing: dict[str, None] = {}

    @property
    def fetched(self) -> tuple[Fetched, ...]:
        """The files that were served up to their last block, no more of them than a report tells of."""
        with self._lock:
            return tuple(self._fetched)

    def forget(self) -> None:
        """Begin a new list of what was fetched."""
        with self._lock:
            self._fetched.clear()

    @property
    def complaints(self) -> tuple[str, ...]:
        """What an operator may want to know, in sentences."""
        with self._lock:
            return tuple(self._complaints)

    @property
    def failed(self) -> bool:
        """Whether upstream still owes something that it could not give."""
        with self._lock:
            return bool(self._failing)

    def take_request(self) -> None:
        """Count a request; raises OverBudget."""
        with self._lock:
            self._requests += 1
            if self._requests > self._allowance.requests:
                raise self._over(f"The build made more than {self._allowance.requests} requests.")

    def take_bytes(self, size: int) -> None:
        """Count bytes that came for the build; raises OverBudget."""
        with self._lock:
            self._check(size)
            self._bytes += size

    def check_room(self, size: int) -> None:
        """Raise OverBudget if so many bytes are too many."""
        with self._lock:
            self._check(size)

    def note_fetched(self, file: Fetched) -> None:
        """Note that a file was served."""
        with self._lock:
            if len(self._fetched) < MAX_FETCHED:
                self._fetched[file] = None
            self._failing.pop(file.url, None)

    def note_answer(self, url: str) -> None:
        """Note that upstream gave, or honestly does not have, what it may have failed to give before."""
        with self._lock:
            self._failing.pop(url, None)

    def note_failure(self, url: str, text: str) -> None:
        """Note that upstream failed."""
        with self._lock:
            self._failing[url] = None
            self._complain(text)

    def _check(self, size: int) -> None:
        """Raise OverBudget if so many bytes are too many; the lock is held."""
        if self._bytes + size > self._allowance.total_bytes:
            raise self._over(f"The build fetched more than {self._allowance.total_bytes} bytes.")

    def _over(self, text: str) -> OverBudget:
        """Return the error, noted; the lock is held."""
        self._complain(text)
        return OverBudget(text)

    def _complain(self, text: str) -> None:
        """Note a sentence; the lock is held."""
        if len(self._complaints) < _MOST_COMPLAINTS:
            self._complaints[text] = None
