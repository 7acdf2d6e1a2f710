"""The package proxy: all that a build can reach, and what it says about what the build fetched.

It answers for the pages of packages and the files that these list, from the indexes that the operator named;
nothing else can be asked of it.  How HTTP is spoken is in `proxy_http`, what upstream is asked in `upstream`.

    with PackageProxy([address], socket=place.root / "index.sock") as proxy:
        ...  # pip uses proxy.indexes
    proxy.fetched
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote

from builder import crates, simple_page, upstream
from builder.account import Account, Allowance, OverBudget
from builder.contract import Fetched
from builder.crates import Crates
from builder.doorway import ADDRESS
from builder.file_cache import FileCache
from builder.passing import BYTES, Passing
from builder.proxy_http import Answer, Refused, Server, listen
from builder.simple_page import BadPage, Listed, Page
from builder.upstream import Indexes, NotThere, Upstream, UpstreamFailed

_PATH = re.compile(
    r"/(?P<index>[0-9]{1,2})/"
    r"(?:simple/(?P<page>[a-z0-9]+(?:-[a-z0-9]+)*)/"
    r"|files/(?P<package>[a-z0-9]+(?:-[a-z0-9]+)*)/(?P<key>[0-9a-f]{16})/(?P<file>[^/?#]+))"
)
_LONGEST_PATH = 1000
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
        crates: str = "",
        cache: Path | None = None,
        allowance: Allowance | None = None,
        timeout_s: tuple[float, float] = upstream.TIMEOUT_S,
        pauses_s: tuple[float, ...] = upstream.PAUSES_S,
    ) -> None:
        """Listen on a unix socket, or without one on a port of this machine.

        `crates` is the sparse index of a registry of Rust's crates, "" for none.
        """
        self._socket = socket
        self._allowance = allowance or Allowance()
        self._account = Account(self._allowance)
        self._stop = Event()
        passing = Passing(self._account, FileCache(cache) if cache else None)
        self._shelf = _Shelf(
            Indexes(tuple(upstreams), timeout_s, pauses_s),
            passing,
            Crates(crates, passing) if crates else None,
        )
        self._server: Server | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        self._server = listen(self._socket, self._shelf, self._allowance, self._stop)
        if self._socket is None:
            host, port = "127.0.0.1", self._server.port
            self._shelf.address = f"http://{host}:{port}"
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
        return tuple(f"{self._shelf.address}/{index}/simple/" for index in range(self._shelf.count))

    @property
    def crates(self) -> str:
        """The address that a build's Cargo uses for its registry; "" when it has none."""
        return f"sparse+{self._shelf.address}{crates.ROOT}index/" if self._shelf.has_crates else ""

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

    def __init__(self, indexes: Indexes, passing: Passing, registry: Crates | None) -> None:
        self._indexes = indexes
        self._passing = passing
        self._account = passing.account
        self._registry = registry
        # Where the build finds this proxy.
        self.address = "http://{}:{}".format(*ADDRESS)
        self._lock = Lock()
        self._listings: OrderedDict[tuple[int, str], Mapping[str, Listed]] = OrderedDict()

    @property
    def count(self) -> int:
        """How many indexes there are."""
        return len(self._indexes.addresses)

    @property
    def has_crates(self) -> bool:
        """Whether there is a registry of crates."""
        return self._registry is not None

    def ask(self, stop: Event) -> Upstream:
        """Return connections to the indexes, for one thread."""
        return Upstream(self._indexes, stop)

    @contextmanager
    def answer(self, path: str, asks: Upstream, *, is_head: bool) -> Iterator[Answer]:
        """Answer for a path; raises Refused, or Broken from within when it is too late to refuse."""
        try:
            self._account.take_request()
            if self._registry and path.startswith(crates.ROOT):
                with self._registry.answer(path, asks, address=self.address, is_head=is_head) as answer:
                    yield answer
                return
            match = _PATH.fullmatch(path) if len(path) <= _LONGEST_PATH else None
            if match is None or int(match["index"]) >= self.count:
                raise Refused(403, "Only packages' pages and their files can be had here.")
            index = int(match["index"])
            if match["page"]:
                with self._passing.pages:
                    yield self._page(index, match["page"], asks)
                return
            file, is_metadata = self._find(index, match["package"], match["key"], match["file"], asks)
            if is_head:
                yield Answer(BYTES, None, iter(()))
                return
            with self._file(file, is_metadata, asks) as answer:
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
        return Answer(simple_page.JSON, len(body), iter((body,)))

    def _read(self, index: int, name: str, asks: Upstream) -> Page:
        """Ask for a page and remember what it lists."""
        url = self._indexes.page_url(index, name)
        with self._passing.noting(url):
            body = asks.read(url, simple_page.ACCEPT, self._account.take_bytes)
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
            with self._passing.pages:
                files = {file.key: file for file in self._read(index, name, asks).files}
        file, filename = files.get(key), unquote(quoted)
        if file is not None and filename == file.filename:
            return file, False
        if file is not None and file.has_metadata and filename == file.filename + _METADATA:
            return file, True
        raise Refused(404, "No page lists this file.")

    @contextmanager
    def _file(self, file: Listed, is_metadata: bool, asks: Upstream) -> Iterator[Answer]:
        """Give a file, or its metadata, which are checked like a file but not counted as one."""
        if is_metadata:
            url = file.url + _METADATA
            with self._passing.opened(url, asks) as answer:
                yield self._passing.streamed(url, answer, file.metadata_sha256)
        else:
            with self._passing.file(file.url, file.filename, file.sha256, asks) as answer:
                yield answer
