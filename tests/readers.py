"""Clients that read the index all the time, download all that they see, and note what is wrong."""

import gzip
import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, IncompleteRead
from typing import NamedTuple
from urllib.parse import urldefrag, urlsplit

from pypi_simple import IndexPage, ProjectPage

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"
# Of these nginx knows what is meant, and asks the web server what the last one does.
ACCEPTS = (JSON, HTML, "*/*", f"{JSON};q=0.9, {HTML};q=0.1")


class Away(Exception):
    """There was no answer, and the reader was told that this could be."""


class Wrong(Exception):
    """An answer is not what it should be; the text says how."""


class Listed(NamedTuple):
    """A file as a page lists it."""

    path: str
    sha256: str
    metadata_sha256: str
    requires_python: str
    yanked: str | None


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_packed(self) -> bool:
        """Whether it came packed."""
        return self.headers.get("content-encoding") == "gzip"

    @property
    def modified(self) -> int:
        """When the page was written, in whole seconds."""
        return int(parsedate_to_datetime(self.headers["last-modified"]).timestamp())


@dataclass
class Memory:
    """What a reader remembers of a package."""

    # What each name has ever been: its bytes never change.
    files: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    # When a page was last asked for that listed the file.
    listed_at: dict[str, tuple[Listed, float]] = field(default_factory=dict)
    # Of each format, packed and plain, the second of the page that was read last, and its bytes' hash.
    pages: dict[tuple[str, bool], tuple[int, str]] = field(default_factory=dict)
    # Of each format, the second of the one that is older than the other, and since when it has been.
    behind: dict[str, tuple[int, float]] = field(default_factory=dict)
    # Since when HTML and JSON have been different, and the same each.
    differ: tuple[int, int, float] = (0, 0, 0.0)


class Reader(threading.Thread):
    """One client; what it finds is for the test to look at."""

    # How long two formats, or a page and the same one packed, may differ when nobody puts them right.
    DIFFERING_S = 30.0
    # Between two packages, so that it leaves something of the machine to those whom it reads of.
    PAUSE_S = 0.1

    def __init__(
        self,
        address: str,
        packages: list[str],
        *,
        index: str = "simple",
        excuses: Callable[[float], bool] = lambda since: False,
        cuts: Callable[[float], bool] = lambda since: False,
        good_for_s: float = 0.0,
        is_gone: Callable[[str], bool] = lambda filename: False,
        seed: int = 1,
    ) -> None:
        """Read the pages of these packages; `excuses` says whether no answer was to be had since some moment.

        `cuts` says whether one that had begun could be cut off, which its length tells every client.
        A link is good for so many seconds after a page had it, and for ever while a page has it; unless it
        `is_gone`.
        """
        super().__init__(daemon=True)
        self.address, self.packages, self.index = urlsplit(address), packages, index
        self.excuses, self.cuts, self.good_for_s, self.is_gone = excuses, cuts, good_for_s, is_gone
        self.chance = random.Random(seed)
        self.memory = {package: Memory() for package in packages}
        self.wrong: list[str] = []
        self.pages = self.downloads = self.late = self.pairs = 0
        self.in_lists: set[str] = set()
        self._ended = threading.Event()

    def __enter__(self) -> "Reader":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(60)

    def check(self, downloads: int = 1) -> None:
        """Check that it read until it was told to end, so many files at least, and found nothing wrong."""
        assert not self.is_alive(), "somebody who reads hangs"
        assert self.wrong == [], self.wrong
        assert self.pages > 0
        assert self.downloads >= downloads

    def run(self) -> None:
        """Read until it is told to end."""
        while not self._ended.is_set():
            self.guard(self.read_root)
            for package in self.packages:
                if not self._ended.wait(self.PAUSE_S):
                    self.guard(self.read, package)

    def guard(self, deed: Callable[..., None], *arguments: str) -> None:
        """Do something, and note what is wrong with it."""
        try:
            deed(*arguments)
        except Away:
            pass
        except Exception as fault:
            self.wrong.append(f"{deed.__name__} {' '.join(arguments)}: {fault!r}")

    def read_root(self) -> None:
        """Read the list of projects in both formats; what once was there stays."""
        for accept in (JSON, HTML):
            answer = self.ask(f"/{self.index}/", accept, may_lack=not self.in_lists)
            if answer.status == 404:
                continue
            listed = set(self.projects(answer))
            if not self.in_lists <= listed:
                raise Wrong(f"a list has lost {self.in_lists - listed}")
            self.in_lists |= listed

    def projects(self, answer: Answer) -> list[str]:
        """Return what a list of projects has, which must be whole."""
        if answer.headers["content-type"] == JSON:
            return IndexPage.from_json_data(json.loads(answer.body)).projects
        return IndexPage.from_html(_whole(answer)).projects

    def read(self, package: str) -> None:
        """Read a package's page in both formats, and download all the files that it lists."""
        memory, path, began = self.memory[package], f"/{self.index}/{package}/", time.monotonic()
        answers = [self.ask(path, accept, may_lack=not memory.files) for accept in (JSON, HTML)]
        if any(answer.status == 404 for answer in answers):
            return
        told = [self.listed(answer, package) for answer in answers]
        self.compare(memory, answers, told)
        for listed in told:
            for name, file in listed.items():
                self.remember(memory, name, file, began)
        also = self.ask(path, self.chance.choice(ACCEPTS))
        for name, file in self.listed(also, package).items():
            self.remember(memory, name, file, began)
        for name, (file, listed_at) in list(memory.listed_at.items()):
            if listed_at < began:
                self.follow_late(memory, name, file, listed_at)
            else:
                self.download(file)

    def listed(self, answer: Answer, package: str) -> dict[str, Listed]:
        """Return what a page lists, which must be whole, and no older than the one before."""
        self.pages += 1
        self.follow(self.memory[package], answer)
        if answer.headers["content-type"] == JSON:
            page = ProjectPage.from_json_data(json.loads(answer.body))
        else:
            page = ProjectPage.from_html(package, _whole(answer))
        return {
            file.filename: Listed(
                path=urldefrag(file.url)[0],
                sha256=file.digests["sha256"],
                metadata_sha256=(file.metadata_digests or {}).get("sha256", ""),
                requires_python=file.requires_python or "",
                yanked=(file.yanked_reason or "") if file.is_yanked else None,
            )
            for file in page.packages
        }

    def follow(self, memory: Memory, answer: Answer) -> None:
        """Compare a page with the one before: it has a later second, or is the same.

        What a page says may come back, as with a yank that is taken back; its second may not.
        """
        if "last-modified" not in answer.headers:
            return
        kind, now = answer.headers["content-type"], (answer.modified, hashlib.sha256(answer.body).hexdigest())
        before = memory.pages.get((kind, answer.is_packed), now)
        packed_otherwise = memory.pages.get((kind, not answer.is_packed), now)
        if now[0] < before[0]:
            raise Wrong(f"a page has gone back by {before[0] - now[0]} seconds")
        for other in (before, packed_otherwise):
            if now[0] == other[0] and now != other:
                raise Wrong("two pages have the same second")
        memory.pages[kind, answer.is_packed] = now
        if now[0] >= packed_otherwise[0]:
            return
        # They are two files, and whoever replaces one after the other may be killed between them.
        second, since = memory.behind.get(kind, (0, 0.0))
        if second != now[0]:
            memory.behind[kind] = now[0], time.monotonic()
        elif time.monotonic() - since > self.DIFFERING_S:
            raise Wrong(
                f"a page stays {packed_otherwise[0] - now[0]} seconds behind the same one packed or not"
            )

    def compare(self, memory: Memory, answers: list[Answer], told: list[dict[str, Listed]]) -> None:
        """Compare the JSON and the HTML of a package.

        Those of one pass of the publisher have seconds that follow each other, and say the same.  Others are
        of two passes, as there was a pass in between, or one that was cut off, which somebody does again.
        """
        if "last-modified" not in answers[0].headers or "last-modified" not in answers[1].headers:
            return
        json_at, html_at = (answer.modified for answer in answers)
        if told[0] == told[1]:
            self.pairs += 1
        elif json_at == html_at + 1:
            raise Wrong(f"one pass has written two states: {_difference(*told)}")
        elif memory.differ[:2] != (json_at, html_at):
            memory.differ = (json_at, html_at, time.monotonic())
        elif time.monotonic() - memory.differ[2] > self.DIFFERING_S:
            raise Wrong(f"HTML and JSON stay different: {_difference(*told)}")

    def remember(self, memory: Memory, name: str, file: Listed, now: float) -> None:
        """Note what a page says of a file; it must be what was always said of it."""
        facts = (file.path, file.sha256, file.metadata_sha256)
        if memory.files.setdefault(name, facts) != facts:
            raise Wrong(f"{name} was {memory.files[name]} and is {facts}")
        memory.listed_at[name] = (file, now)

    def follow_late(self, memory: Memory, name: str, file: Listed, listed_at: float) -> None:
        """Follow a link that no page has any more, as somebody does who read one before."""
        # Somebody may be slow by as much as this reader takes to download it.
        if time.monotonic() - listed_at > self.good_for_s - 1:
            del memory.listed_at[name]
            return
        self.late += 1
        self.download(file)

    def download(self, file: Listed) -> None:
        """Download a file and its metadata, which must be what the page says of them."""
        for path, sha256 in ((file.path, file.sha256), (f"{file.path}.metadata", file.metadata_sha256)):
            try:
                body = self.ask(path).body
            except Wrong:
                if self.is_gone(file.path.rpartition("/")[2]):
                    return
                raise
            self.downloads += 1
            if hashlib.sha256(body).hexdigest() != sha256:
                raise Wrong(f"{path} is not what a page says: {len(body)} bytes")

    def ask(self, path: str, accept: str = "*/*", *, may_lack: bool = False) -> Answer:
        """Return an answer that is whole and 200, or 404 where that may be."""
        began = time.monotonic()
        packs = "gzip" if self.chance.random() < 0.5 else "identity"
        connection = HTTPConnection(str(self.address.hostname), self.address.port or 80, timeout=60)
        try:
            connection.request("GET", path, headers={"Accept": accept, "Accept-Encoding": packs})
            answer = connection.getresponse()
            # Fewer bytes than announced are an error here.
            body = answer.read()
        except (OSError, HTTPException) as fault:
            if self.excuses(began) or (isinstance(fault, IncompleteRead) and self.cuts(began)):
                raise Away from fault
            raise Wrong(f"{path}: no whole answer, {fault!r}") from fault
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if answer.status >= 500 and self.excuses(began):
            raise Away
        if answer.status != 200 and not (may_lack and answer.status == 404):
            raise Wrong(f"{path}: {answer.status} {body[:200]!r}")
        whole = Answer(answer.status, headers, body)
        return replace(whole, body=gzip.decompress(body)) if whole.is_packed else whole


def _whole(answer: Answer) -> str:
    """Return an HTML page that has a beginning and an end."""
    text = answer.body.decode()
    if not (text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n")):
        raise Wrong(f"half a page: {text[-100:]!r}")
    return text


def _difference(one: dict[str, Listed], other: dict[str, Listed]) -> str:
    """Return what two pages say differently."""
    return ", ".join(sorted(name for name in {*one, *other} if one.get(name) != other.get(name)))
