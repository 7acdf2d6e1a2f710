"""The package proxy: all that a build can reach, and what it says about what the build fetched.

It answers for the pages of packages and the files that these list, from the indexes that the operator named;
nothing else can be asked of it.  How HTTP is spoken is in `proxy_http`, what upstream is asked in `upstream`.

    with PackageProxy([address], socket=place.root / "index.sock") as proxy:
        ...  # pip uses proxy.indexes
    proxy.fetched
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Semaphore, Thread
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote

import requests

from builder import file_cache, simple_page, upstream
from builder.account import Account, Allowance, OverBudget
from builder.contract import Fetched
from builder.doorway import ADDRESS
from builder.file_cache import FileCache
from builder.proxy_http import Answer, Broken, Refused, Server, listen
from builder.simple_page import BadPage, Listed, Page, shown
from builder.upstream import Indexes, NotThere, Upstream, UpstreamFailed

_PATH = re.compile(
    r"/(?P<index>[0-9]{1,2})/"
    r"(?:simple/(?P<page>[a-z0-9]+(?:-[a-z0-9]+)*)/"
    r"|files/(?P<package>[a-z0-9]+(?:-[a-z0-9]+)*)/(?P<key>[0-9a-f]{16})/(?P<file>[^/?#]+))"
)
_LONGEST_PATH = 1000
# A page takes some ten times its size while it is read.
_PAGES_AT_ONCE = 2
# A build asks for some dozens of packages with some hundreds of files each; a forgotten page is read again.
_MOST_LISTED = 20_000
_METADATA = ".metadata"


class PackageProxy:
    """The proxy of one build; listens from when it is entered until it is left."""

    def __init__(
        self,
        upstreams: Sequence[str],
        *,
        socket: Path | None,
        cache: Path | None = None,
        allowance: Allowance | None = None,
        timeout_s: tuple[float, float] = upstream.TIMEOUT_S,
        pauses_s: tuple[float, ...] = upstream.PAUSES_S,
    ) -> None:
        """Listen on a unix socket, or without one on a port of this machine."""
        self._socket = socket
        self._allowance = allowance or Allowance()
        self._account = Account(self._allowance)
        self._stop = Event()
        self._shelf = _Shelf(
            Indexes(tuple(upstreams), timeout_s, pauses_s), self._account, FileCache(cache) if cache else None
        )
        self._server: Server | None = None
        self._thread: Thread | None = None
        self._address = ADDRESS

    def __enter__(self) -> Self:
        self._server = listen(self._socket, self._shelf, self._allowance, self._stop)
        if self._socket is None:
            self._address = ("127.0.0.1", self._server.port)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._server is not None and self._thread is not None:
            self._server.end()
            self._thread.join()
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)

    @property
    def indexes(self) -> tuple[str, ...]:
        """The addresses that a build's pip uses, in the order of the upstreams."""
        host, port = self._address
        return tuple(f"http://{host}:{port}/{index}/simple/" for index in range(self._shelf.count))

    @property
    def fetched(self) -> tuple[Fetched, ...]:
        """The files that the build has, each once, with the sha256 that we found."""
        return self._account.fetched

    def forget(self) -> None:
        """Begin a new list of what was fetched, as another build environment is made."""
        self._account.forget()

    @property
    def complaints(self) -> tuple[str, ...]:
        """What went wrong, in sentences; it can be shown to anyone."""
        return self._account.complaints

    @property
    def failed(self) -> bool:
        """Whether something could not be had from upstream, so that the build's failure says nothing."""
        return self._account.failed


class _Shelf:
    """What may be asked for, and the answers."""

    def __init__(self, indexes: Indexes, account: Account, cache: FileCache | None) -> None:
        self._indexes = indexes
        self._account = account
        self._cache = cache
        self._lock = Lock()
        self._listings: OrderedDict[tuple[int, str], Mapping[str, Listed]] = OrderedDict()
        self._pages = Semaphore(_PAGES_AT_ONCE)

    @property
    def count(self) -> int:
        """How many indexes there are."""
        return len(self._indexes.addresses)

    def ask(self, stop: Event) -> Upstream:
        """Return connections to the indexes, for one thread."""
        return Upstream(self._indexes, stop)

    @contextmanager
    def answer(self, path: str, asks: Upstream, *, is_head: bool) -> Iterator[Answer]:
        """Answer for a path; raises Refused, or Broken from within when it is too late to refuse."""
        try:
            self._account.take_request()
            match = _PATH.fullmatch(path) if len(path) <= _LONGEST_PATH else None
            if match is None or int(match["index"]) >= self.count:
                raise Refused(403, "Only packages' pages and their files can be had here.")
            index = int(match["index"])
            if match["page"]:
                with self._pages:
                    yield self._page(index, match["page"], asks)
                return
            file, is_metadata = self._find(index, match["package"], match["key"], match["file"], asks)
            if is_head:
                yield Answer("application/octet-stream", None, iter(()))
                return
            with self._metadata(file, asks) if is_metadata else self._file(file, asks) as answer:
                yield answer
        except OverBudget as error:
            raise Refused(403, str(error)) from error
        except NotThere as error:
            raise Refused(404, str(error)) from error
        except UpstreamFailed as error:
            raise Refused(502, str(error)) from error

    def _page(self, index: int, name: str, asks: Upstream) -> Answer:
        """Return a package's page."""
        page = self._read(index, name, asks)
        body = page.encode(lambda file: f"/{index}/files/{name}/{file.key}/{quote(file.filename, safe='')}")
        self._account.take_bytes(len(body))
        return Answer(simple_page.JSON, len(body), iter((body,)))

    def _read(self, index: int, name: str, asks: Upstream) -> Page:
        """Ask for a page and remember what it lists."""
        url = self._indexes.page_url(index, name)
        with self._noting(url):
            body = asks.read(url, simple_page.ACCEPT)
            try:
                page = simple_page.read(body.content, body.content_type, url=body.url, name=name)
            except BadPage as error:
                raise UpstreamFailed(f"{url} is no page of an index: {error}.") from error
        self._remember((index, name), {file.key: file for file in page.files})
        return page

    def _remember(self, page: tuple[int, str], files: Mapping[str, Listed]) -> None:
        """Remember the files of a page, and forget those of the pages that were read first."""
        with self._lock:
            self._listings[page] = files
            self._listings.move_to_end(page)
            while len(self._listings) > 1 and sum(map(len, self._listings.values())) > _MOST_LISTED:
                self._listings.popitem(last=False)

    def _find(self, index: int, name: str, key: str, quoted: str, asks: Upstream) -> tuple[Listed, bool]:
        """Return the file that a path means, and whether its metadata are meant."""
        with self._lock:
            files = self._listings.get((index, name))
        if files is None:
            with self._pages:
                files = {file.key: file for file in self._read(index, name, asks).files}
        file, filename = files.get(key), unquote(quoted)
        if file is not None and filename == file.filename:
            return file, False
        if file is not None and file.has_metadata and filename == file.filename + _METADATA:
            return file, True
        raise Refused(404, "No page lists this file.")

    @contextmanager
    def _metadata(self, file: Listed, asks: Upstream) -> Iterator[Answer]:
        """Give a file's metadata, checked like a file but not counted as one."""
        url = file.url + _METADATA
        with self._opened(url, asks) as answer:
            yield self._streamed(url, answer, file.metadata_sha256, lambda sha256, size: None)

    @contextmanager
    def _file(self, file: Listed, asks: Upstream) -> Iterator[Answer]:
        """Give a file, from the cache or from upstream."""

        def note(sha256: str, size: int) -> None:
            self._account.note_fetched(Fetched(file.filename, shown(file.url), sha256, size))

        cached = self._cache.open(file.sha256) if self._cache and file.sha256 else None
        if cached is not None:
            with cached:
                length = cached.seek(0, 2)
                cached.seek(0)
                self._account.check_room(length)
                blocks = self._checked(file.url, file_cache.read(cached), file.sha256, note)
                yield Answer("application/octet-stream", length, blocks)
            return
        with self._opened(file.url, asks) as answer:
            yield self._streamed(file.url, answer, file.sha256, note, cache=self._cache)

    @contextmanager
    def _opened(self, url: str, asks: Upstream) -> Iterator[requests.Response]:
        """Ask upstream for a file."""
        with self._noting(url):
            answer = asks.open(url)
        with answer:
            yield answer

    def _streamed(
        self,
        url: str,
        answer: requests.Response,
        sha256: str,
        note: Callable[[str, int], None],
        cache: FileCache | None = None,
    ) -> Answer:
        """Return what passes an upstream's answer on."""
        header = answer.headers.get("Content-Length", "")
        length = int(header) if header.isascii() and header.isdecimal() and len(header) < 20 else None
        self._account.check_room(length or 0)
        blocks = upstream.blocks(answer, url)
        if cache is not None and sha256:
            blocks = cache.keep(sha256, blocks)
        return Answer("application/octet-stream", length, self._checked(url, blocks, sha256, note))

    def _checked(
        self, url: str, blocks: Iterable[bytes], sha256: str, note: Callable[[str, int], None]
    ) -> Iterator[bytes]:
        """Yield a file's blocks; the last leaves only when all are what the page promised."""
        found, size, held = hashlib.sha256(), 0, b""
        try:
            for block in blocks:
                self._account.take_bytes(len(block))
                found.update(block)
                size += len(block)
                yield held
                held = block
            if sha256 and found.hexdigest() != sha256:
                raise UpstreamFailed(
                    f"The sha256 of {shown(url)} is {found.hexdigest()}, its page said {sha256}."
                )
        except OverBudget as error:
            raise Broken(str(error)) from error
        except UpstreamFailed as error:
            self._account.note_failure(shown(url), str(error))
            raise Broken(str(error)) from error
        # Before it leaves, as a build may end the moment it has the last block.
        note(found.hexdigest(), size)
        yield held

    @contextmanager
    def _noting(self, url: str) -> Iterator[None]:
        """Note whether upstream did what it was asked."""
        try:
            yield
        except UpstreamFailed as error:
            self._account.note_failure(shown(url), str(error))
            raise
        except NotThere:
            self._account.note_answer(shown(url))
            raise
        self._account.note_answer(shown(url))
