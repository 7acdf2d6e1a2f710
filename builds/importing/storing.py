"""Brings the files of another farm into our storage: read, compared with what is told of them, then stored.

What is read is what is stored: a file is first given a name here, so that nothing which becomes of the other
name meanwhile changes it.  Nothing is synced to the disk yet; who writes the rows does that once for all.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from tempfile import NamedTemporaryFile

from django.conf import settings
from django.core.files import File as StoredFile

from builder.contract import LOG_LIMIT
from builds import failures, provenance
from builds.failures import Diagnosis
from builds.files import incoming, moving, storage, stored
from builds.files.storage import WholeFileStorage
from builds.importing.theirs import File, Made
from builds.importing.tree import NotThere, Tree
from builds.importing.wheels import Contents, installable_tags, read
from builds.log_text import clean
from builds.models import Target, Wheel
from builds.wheels.wheel_names import BadWheel

UNREADABLE = "it cannot be read"
# Errors stand at a log's end: of one that is too long, that much of its end is kept, as builders do.
_END = 64 << 10
_CUT = b"\n[piwheels: the log is too long; what follows is its end]\n"
# Of what unpacks to more than that nobody waits for the end.
_ENDLESS = b"\n[piwheels: the log is far too long; what follows is from somewhere in it]\n"
_MOST_UNPACKED = 64 * LOG_LIMIT


class Untaken(Exception):
    """A file cannot be taken."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Taken:
    """A file that is in our storage, and what its bytes tell but for METADATA itself, which is stored."""

    file: File
    contents: Contents
    metadata_sha256: str


@dataclass(frozen=True)
class KeptLog:
    """What came of a log: why its build failed, if it did, and whether there was more of it than we keep."""

    diagnosis: Diagnosis | None
    is_cut: bool


@dataclass(frozen=True)
class Store:
    """How files come from that tree into our storage."""

    tree: Tree
    by_link: bool
    is_dry: bool

    def wheel(self, made: Made, file: File, target: Target, builder: str) -> Taken:
        """Store a wheel with the copy of its METADATA and a statement; raises Untaken.

        Whatever is wrong with our own storage is raised as it is: the next file would fare no better.
        """
        if reason := file.refusal():
            raise Untaken(reason)
        try:
            installable_tags(file.filename)
            path = self._path(made, file)
        except (NotThere, BadWheel) as error:
            raise Untaken(str(error), getattr(error, "detail", "")) from error
        with self._taken(path) as taken:
            contents = _examined(taken, file, target)
            if not self.is_dry:
                self._keep(taken, made, file, contents, target, builder)
        digest = hashlib.sha256(contents.metadata).hexdigest()
        # Of a batch of them all would be in memory at once.
        return Taken(file, replace(contents, metadata=b""), digest)

    def _path(self, made: Made, file: File) -> Path:
        """Return where a wheel is, or another of its build that is said to have the same bytes.

        The twin for armv6l is a link, which leads nowhere once the file itself was moved to an archive.
        """
        try:
            return self.tree.wheel(file.location, made.package, file.filename)
        except NotThere:
            for twin in made.files:
                with suppress(NotThere):
                    if twin.sha256 == file.sha256:
                        return self.tree.wheel(twin.location, made.package, twin.filename)
            raise

    def _keep(
        self, taken: Path, made: Made, file: File, contents: Contents, target: Target, builder: str
    ) -> None:
        """Store all that there is of a wheel, itself last."""
        wheel = Wheel(filename=file.filename, sha256=file.sha256, build_id=made.number)
        statement = provenance.imported(
            filename=file.filename,
            sha256=file.sha256,
            parameters={"package": made.package, "version": made.version, "target": target.key},
            builder=builder,
            build=made.number,
            ended_at=made.ended_at,
        )
        self._put_bytes(wheel.metadata_path, contents.metadata)
        self._put_bytes(wheel.provenance_path, statement)
        self._put(taken, wheel.path)

    def log(self, made: Made) -> KeptLog:
        """Store a build's log, and tell from it why the build failed; raises Untaken."""
        name = stored.log_name(made.number)
        try:
            path = self.tree.log(made.number)
        except NotThere as error:
            raise Untaken(error.reason, error.detail) from error
        with self._taken(path) as taken:
            text, is_cut = _unpacked(taken)
            if self.is_dry:
                pass
            elif is_cut:
                self._put_bytes(name, gzip.compress(text, mtime=0))
            else:
                self._put(taken, name)
        return KeptLog(None if made.is_good else _diagnosed(text), is_cut)

    @contextmanager
    def _taken(self, path: Path) -> Iterator[Path]:
        """Give a file that nobody else changes, for as long as it is needed."""
        holder = moving.both()[0]
        _be_readable(path)
        if self.is_dry:
            yield path
            return
        if not isinstance(holder, WholeFileStorage):
            with NamedTemporaryFile(dir=_beside()) as copy:
                with _reading(path), path.open("rb") as old:
                    copy.writelines(storage.blocks(old))
                copy.flush()
                yield Path(copy.name)
            return
        with _reading(path):
            taken = holder.take(path, by_link=self.by_link)
        try:
            yield taken
        finally:
            taken.unlink(missing_ok=True)

    def _put(self, taken: Path, name: str) -> None:
        """Give a file its name in the storage."""
        holder = moving.both()[0]
        if isinstance(holder, WholeFileStorage):
            holder.settle(taken, name)
            return
        with taken.open("rb") as content:
            storage.store({name: content})

    def _put_bytes(self, name: str, content: bytes) -> None:
        """Store what was made of a file."""
        holder = moving.both()[0]
        if not isinstance(holder, WholeFileStorage):
            storage.store_bytes(name, content)
            return
        path = holder.fresh()
        path.write_bytes(content)
        path.chmod(0o644)
        holder.settle(path, name)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise Untaken where a file of theirs cannot be read to its end, or was deleted since it was found."""
    try:
        yield
    except storage.Unreadable as error:
        raise Untaken(UNREADABLE, str(error)) from error
    except FileNotFoundError as error:
        # It may be a folder of our own storage.
        if path.exists():
            raise
        raise Untaken(UNREADABLE, str(error)) from error


def _beside() -> Path:
    """Return the folder for files on their way into a bucket."""
    settings.PIWHEELS_INCOMING.mkdir(parents=True, exist_ok=True)
    folder: Path = settings.PIWHEELS_INCOMING
    return folder


def _be_readable(path: Path) -> None:
    """Raise Untaken for a file that we may not read."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise Untaken(UNREADABLE, str(error)) from error


def _examined(path: Path, file: File, target: Target) -> Contents:
    """Return what is in a file, if it has the bytes that the database tells of and is a wheel."""
    try:
        with path.open("rb") as content:
            _compare(content, file)
            return read(content, file.filename, architecture=target.architecture, scratch=incoming.scratch())
    except BadWheel as error:
        raise Untaken(str(error)) from error
    except OSError as error:
        raise Untaken(UNREADABLE, str(error)) from error


def _compare(content: BufferedReader, file: File) -> None:
    """Raise Untaken for bytes that are not those which the database tells of."""
    size = content.seek(0, 2)
    if size != file.size:
        raise Untaken("it has another size than the database says", f"{size} bytes, not {file.size}")
    sha256 = storage.sha256_of(StoredFile(content))
    if sha256 != file.sha256:
        raise Untaken("its bytes are others than the database says", f"{sha256}, not {file.sha256}")


def _unpacked(path: Path) -> tuple[bytes, bool]:
    """Return a log, and whether there is more of it than we keep: then it is the beginning and the end."""
    end, is_cut, mark = b"", False, _CUT
    try:
        with gzip.open(path) as file:
            text = file.read(LOG_LIMIT)
            end = text[-_END:]
            while block := file.read(LOG_LIMIT):
                end, is_cut = (end + block)[-_END:], True
                if file.tell() >= _MOST_UNPACKED:
                    mark = _ENDLESS
                    break
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Untaken("it cannot be unpacked", str(error)) from error
    except OSError as error:
        raise Untaken(UNREADABLE, str(error)) from error
    return text[: LOG_LIMIT - len(mark) - len(end)] + mark + end if is_cut else text, is_cut


def _diagnosed(text: bytes) -> Diagnosis:
    """Return why a build failed, by the end of its log."""
    most = failures.END + failures.MORE
    return failures.classify(clean(text[-most:].decode(errors="replace")), "")
