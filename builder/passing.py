"""Passes upstream's files on to a build: counted, checked against what was promised, kept if possible.

Which file may be had, and by which path, is decided in `proxy` and `crates`.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Semaphore

import requests

from builder import file_cache, upstream
from builder.account import Account, OverBudget
from builder.contract import Fetched
from builder.file_cache import FileCache, Unreadable
from builder.proxy_http import Answer, Broken
from builder.simple_page import shown
from builder.upstream import NotThere, Upstream, UpstreamFailed

BYTES = "application/octet-stream"
# Whoever takes a block so late has let upstream wait, which may then hang up and is right.
_SLOW_S = 5.0
# A page takes some ten times its size while it is read.
_PAGES_AT_ONCE = 2


def _nothing(sha256: str, size: int) -> None:
    """Note nothing of what has passed."""


@dataclass(frozen=True)
class Passing:
    """What passes files on to one build."""

    account: Account
    cache: FileCache | None
    # Held by whoever reads a page, or an entry of a registry's index, until it has left.
    pages: Semaphore = field(default_factory=lambda: Semaphore(_PAGES_AT_ONCE))

    @contextmanager
    def file(self, url: str, filename: str, sha256: str, asks: Upstream) -> Iterator[Answer]:
        """Give a file, from the cache or from upstream; `sha256` is "" where nobody promised one."""

        def note(found: str, size: int) -> None:
            self.account.note_fetched(Fetched(filename, shown(url), found, size))

        cached = self.cache.open(sha256) if self.cache and sha256 else None
        if cached is not None:
            with cached:
                length = cached.seek(0, 2)
                cached.seek(0)
                self.account.check_room(length)
                yield Answer(BYTES, length, self._checked(url, file_cache.read(cached), sha256, note))
            return
        with self.opened(url, asks) as answer:
            yield self.streamed(url, answer, sha256, note, cache=self.cache)

    @contextmanager
    def opened(self, url: str, asks: Upstream) -> Iterator[requests.Response]:
        """Ask upstream for a file."""
        with self.noting(url):
            answer = asks.open(url)
        with answer:
            yield answer

    def streamed(
        self,
        url: str,
        answer: requests.Response,
        sha256: str,
        note: Callable[[str, int], None] = _nothing,
        cache: FileCache | None = None,
    ) -> Answer:
        """Return what passes an upstream's answer on."""
        header = answer.headers.get("Content-Length", "")
        length = int(header) if header.isascii() and header.isdecimal() and len(header) < 20 else None
        self.account.check_room(length or 0)
        blocks = upstream.blocks(answer, url)
        if cache is not None and sha256:
            blocks = cache.keep(sha256, blocks)
        return Answer(BYTES, length, self._checked(url, blocks, sha256, note))

    def _checked(
        self, url: str, blocks: Iterable[bytes], sha256: str, note: Callable[[str, int], None]
    ) -> Iterator[bytes]:
        """Yield a file's blocks; the last leaves only when all are what was promised.

        That upstream failed is noted only of one that was not kept waiting: else a build could choose that
        its own failure counts as upstream's.
        """
        found, size, held, waited_s = hashlib.sha256(), 0, b"", 0.0
        try:
            for block in blocks:
                self.account.take_bytes(len(block))
                found.update(block)
                size += len(block)
                began = time.monotonic()
                yield held
                waited_s = time.monotonic() - began
                held = block
            waited_s = 0.0
            if sha256 and found.hexdigest() != sha256:
                raise UpstreamFailed(
                    f"The sha256 of {shown(url)} is {found.hexdigest()}, its page said {sha256}."
                )
        except OverBudget as error:
            raise Broken(str(error)) from error
        except Unreadable as error:
            self.account.note_failure(shown(url), str(error))
            raise Broken(str(error)) from error
        except UpstreamFailed as error:
            if waited_s < _SLOW_S:
                self.account.note_failure(shown(url), str(error))
            raise Broken(str(error)) from error
        # Before it leaves, as a build may end the moment it has the last block.
        note(found.hexdigest(), size)
        yield held

    @contextmanager
    def noting(self, url: str) -> Iterator[None]:
        """Note whether upstream did what it was asked."""
        try:
            yield
        except UpstreamFailed as error:
            self.account.note_failure(shown(url), str(error))
            raise
        except NotThere:
            self.account.note_answer(shown(url))
            raise
        self.account.note_answer(shown(url))
