"""What goes wrong upstream in a day, from a seed: faults come, some last, and all of them go."""

import random
from collections.abc import Callable

from packaging.utils import canonicalize_name

from tests.fake_pypi import FakePyPI

# Nothing lasts longer than this many turns.
LASTING = 12


class Weather:
    """The faults of a fake PyPI, changing with each turn."""

    def __init__(self, upstream: FakePyPI, names: Callable[[random.Random], str], seed: int = 1) -> None:
        self.upstream = upstream
        self._names = names
        self._chance = random.Random(seed)
        self._turns = 0
        self._ends: list[tuple[int, Callable[[], object]]] = []
        self.kinds: dict[str, Callable[[], object]] = {
            "a server error": lambda: self._fail(500),
            "no server": lambda: self._fail(503),
            "too many requests": lambda: self._fail(429, retry_after=self._chance.randrange(1, 4)),
            "too many calls": lambda: upstream.limit_calls(self._chance.randrange(1, 4)),
            "a project that flaps": lambda: upstream.flap(f"/simple/{self._name()}/", times=2),
            "a wrong absence": lambda: self._fail(404),
            "a cut": lambda: upstream.truncate(self._path(), kept=self._chance.randrange(1, 300)),
            "half an answer": lambda: upstream.garble(self._path(), kept=self._chance.randrange(1, 300)),
            "an old page": self._go_stale,
            "an old root": lambda: self._last(upstream.freeze_root, upstream.thaw_root),
            "no XML-RPC": lambda: self._lack("xmlrpc"),
            "HTML only": lambda: self._lack("json"),
            "no JSON API": lambda: self._lack("json_api"),
            "no serials": self._tell_no_serials,
            "no ETags": lambda: self._lack("etags"),
            "rows that come twice": lambda: self._set_copies(2),
        }

    def turn(self) -> str:
        """Let one thing go wrong, and what lasted long enough be well again; return what went wrong."""
        self._turns += 1
        for end, mend in self._ends:
            if end <= self._turns:
                mend()
        self._ends = [(end, mend) for end, mend in self._ends if end > self._turns]
        kind = self._chance.choice(list(self.kinds))
        self.kinds[kind]()
        return kind

    def clear(self) -> None:
        """Let everything be well again."""
        for _, mend in self._ends:
            mend()
        self._ends = []
        self.upstream.catch_up()
        self.upstream.mend()

    def _fail(self, status: int, retry_after: int | None = None) -> None:
        times = self._chance.randrange(1, 5)
        self.upstream.fail(self._path(), status, times, retry_after)

    def _tell_no_serials(self) -> None:
        # Nobody could tell an old page from a new one.
        self.upstream.catch_up()
        self._lack("serials")

    def _go_stale(self) -> None:
        if not self.upstream.serials:
            return
        name = self._name()
        apis = self._chance.choice([(), ("simple",), ("pypi",)])
        self._last(lambda: self.upstream.go_stale(name, *apis), lambda: self.upstream.refresh(name))

    def _lack(self, switch: str) -> None:
        self._last(
            lambda: setattr(self.upstream, switch, False), lambda: setattr(self.upstream, switch, True)
        )

    def _set_copies(self, copies: int) -> None:
        journal = self.upstream.journal
        self._last(lambda: setattr(journal, "copies", copies), lambda: setattr(journal, "copies", 1))

    def _last(self, begin: Callable[[], object], mend: Callable[[], object]) -> None:
        begin()
        self._ends.append((self._turns + self._chance.randrange(1, LASTING), mend))

    def _name(self) -> str:
        return canonicalize_name(self._names(self._chance))

    def _path(self) -> str:
        """Return where something goes wrong: everywhere, in one API, or for one project."""
        name = self._name()
        return self._chance.choice(["/", "/simple/", "/pypi", f"/simple/{name}/", f"/pypi/{name}/"])
