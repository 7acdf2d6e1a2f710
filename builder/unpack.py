"""Unpacks a source: a program that runs inside the sandbox, before anything of the package does.

The folder it makes has always the same name, so that two builds of a source write the same paths into what
they compile.  What the archive calls its top folder proves nothing, so nobody looks at it: the server reads
what a wheel is from the wheel.
"""

import lzma
import stat
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from builder import exits

# The largest honest source on PyPI has fewer files than this.
_MOST = 200_000
# As late as a system with 32 bits for the time can say.
_LATEST = 2**31 - 1


class BadSource(Exception):
    """The archive is not a source that can be unpacked; the text says why."""


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive into an empty folder and return the folder in it that is the source.

    Raises BadSource, or OSError for what says nothing of the source.
    """
    try:
        if zipfile.is_zipfile(archive) and archive.suffix.lower() == ".zip":
            _unzip(archive, folder)
        else:
            _untar(archive, folder)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        ValueError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise BadSource(f"{archive.name} cannot be unpacked: {error}") from error
    except OSError as error:
        if exits.code_of(error):
            raise
        raise BadSource(f"{archive.name} cannot be unpacked: {error.strerror or error}") from error
    return _top(folder, archive.name)


def _untar(archive: Path, folder: Path) -> None:
    """Unpack a tar archive, whatever it is compressed with."""
    with tarfile.open(archive) as tar:
        members = []
        for member in tar:
            _check_name(member.name)
            if member.ischr() or member.isblk() or member.isfifo():
                raise BadSource(f"{member.name!a} is a device or a pipe; a source has only files.")
            if member.issym() or member.islnk():
                _check_link(member)
            members.append(member)
            if len(members) > _MOST:
                raise BadSource(f"There are more than {_MOST} files in it.")
        for member in members:
            # Ours, neither setuid nor unreadable, and of a time that there is, whatever the archive says.
            member.mode = 0o755 if member.isdir() or member.mode & stat.S_IXUSR else 0o644
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = min(max(0, member.mtime), _LATEST)
        # "data" where this Python has filters (3.11.4), as a second look at the same.
        extras = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder, members, **extras)  # type: ignore[arg-type]  # noqa: S202 - each was checked


def _unzip(archive: Path, folder: Path) -> None:
    """Unpack a zip archive."""
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
        if len(members) > _MOST:
            raise BadSource(f"There are more than {_MOST} files in it.")
        for member in members:
            _check_name(member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise BadSource(f"{member.filename!a} is a link; a zip has only files.")
        packed.extractall(folder)  # noqa: S202 - each was checked


def _check_name(name: str) -> None:
    """Refuse a name that leads out of the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise BadSource(f"{name!a} leads out of the folder.")


def _check_link(member: tarfile.TarInfo) -> None:
    """Refuse a link to something outside the source."""
    base = PurePosixPath() if member.islnk() else PurePosixPath(member.name).parent
    depth = 0
    target = PurePosixPath(member.linkname)
    for part in (*base.parts, *target.parts):
        depth += -1 if part == ".." else part != "."
        if depth < 0:
            break
    if target.is_absolute() or depth < 0:
        raise BadSource(f"{member.name!a} is a link to {member.linkname!a}, outside the source.")


def _top(folder: Path, archive: str) -> Path:
    """Return the folder that holds the source: the only one in the archive, or all of it, as pip has it."""
    found = [path for path in folder.iterdir() if path.name != "pax_global_header"]
    top = found[0] if len(found) == 1 and found[0].is_dir() and not found[0].is_symlink() else folder
    if not any((top / file).is_file() for file in ("pyproject.toml", "setup.py")):
        raise BadSource(f"{archive} has neither pyproject.toml nor setup.py, so nobody can build it.")
    return top


def main(arguments: list[str]) -> int:
    """Unpack the first argument into a folder `source` in the second."""
    archive, folder = Path(arguments[0]), Path(arguments[1])
    unpacked = folder / "unpacked"
    try:
        unpacked.mkdir()
        unpack(archive, unpacked).rename(folder / "source")
    except BadSource as error:
        sys.stderr.write(f"{error}\n")
        return exits.BAD
    except (OSError, MemoryError) as error:
        return exits.tell(error, f"{archive.name} cannot be unpacked here")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
