"""Which apt packages a wheel's shared libraries need.

dpkg-shlibdeps reads the files and executes nothing of them, as ldd might.
"""

import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import IO, BinaryIO

from builder import programs
from builder.contract import LOG_LIMIT
from builder.log import Log

_SHARED = re.compile(r".+\.so(\..+)?")
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]{1,200}")
_ELF = b"\x7fELF"
_MOST = 3000
_LARGEST_IN_ALL = 4 << 30
_BLOCK = 1 << 20
_TIME_LIMIT_S = 600.0
# Libraries may be missing in turns: a stand-in for one lets the search go on to the next.
_ROUNDS = 5

_MISSING = re.compile(r"cannot find library (\S+) needed by (\S+)")
# "libgl1 | libgl1-mesa-glx (>= 1)" is either of them; the first is what Debian itself would install.
_PACKAGE = re.compile(r"\s*([a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?\s*(\([<>=]{1,2} [A-Za-z0-9.+~:-]+\))?")

# What dpkg-shlibdeps wants to see: a source package.
_CONTROL = "Source: wheel\nMaintainer: nobody <nobody@localhost>\n\nPackage: wheel\nArchitecture: any\n"


def apt_packages(wheel: BinaryIO, folder: Path, *, log: Log, stop: Event) -> tuple[str, ...]:
    """Return the Debian packages that a wheel needs, as "libpq5 (>= 10)"; `folder` is for us to fill.

    What cannot be found out is noted in the log and left out.  Raises DeadTicket when told to stop.
    """
    private = folder / "private"
    private.mkdir()
    (folder / "debian").mkdir()
    (folder / "debian" / "control").write_text(_CONTROL)
    try:
        libraries = list(_extract(wheel, private))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        log.note(f"the wheel's libraries cannot be read: {error}")
        return ()
    if not libraries:
        return ()
    if shutil.which("dpkg-shlibdeps") is None:
        log.note("dpkg-shlibdeps is not installed (apt install dpkg-dev): no apt packages are listed")
        return ()
    return _resolve(libraries, folder, log=log, stop=stop)


def _extract(wheel: BinaryIO, folder: Path) -> Iterator[Path]:
    """Write the shared libraries in a wheel to a folder, each by its own name without its path."""
    room = _LARGEST_IN_ALL
    with zipfile.ZipFile(wheel) as archive:
        shared = [member for member in archive.infolist() if _SHARED.fullmatch(member.filename)]
        if len(shared) > _MOST:
            raise ValueError(f"there are {len(shared)} of them")
        for number, member in enumerate(shared):
            name = member.filename.rpartition("/")[2]
            path = folder / name
            if not _PLAIN.fullmatch(name) or path.exists():
                path = folder / f"{number}.so"
            with archive.open(member) as content:
                # Some packages have text or a link by such a name, as Git LFS leaves it.
                if content.read(len(_ELF)) != _ELF:
                    continue
                room -= _copy(content, path, room)
            yield path


def _copy(content: IO[bytes], path: Path, room: int) -> int:
    """Write an ELF file, its magic already read, and return its size."""
    size = len(_ELF)
    with path.open("wb") as file:
        file.write(_ELF)
        while block := content.read(_BLOCK):
            size += len(block)
            if size > room:
                raise ValueError(f"they are larger than {_LARGEST_IN_ALL} bytes")
            file.write(block)
    return size


def _resolve(libraries: list[Path], folder: Path, *, log: Log, stop: Event) -> tuple[str, ...]:
    """Return the packages that these libraries need."""
    for _ in range(_ROUNDS):
        depends, complaints = _ask(libraries, folder, stop)
        if depends is not None:
            return _packages(depends)
        missing = {found[1] for found in _MISSING.finditer(complaints) if _PLAIN.fullmatch(found[1])}
        for name in sorted(missing):
            log.note(f"no package on this builder has {name}")
            if not (folder / "private" / name).exists():
                shutil.copy(libraries[0], folder / "private" / name)
        if not missing:
            break
    log.note(f"dpkg-shlibdeps cannot tell the wheel's apt packages: {complaints[:1000].strip()}")
    return ()


def _ask(libraries: list[Path], folder: Path, stop: Event) -> tuple[str | None, str]:
    """Return what dpkg-shlibdeps says these libraries depend on, None if it fails, and its complaints."""
    answer = folder / "answer"
    answer.unlink(missing_ok=True)
    with Log(folder) as told:
        try:
            code = programs.run(
                [
                    *("dpkg-shlibdeps", f"-O{answer}", "--ignore-missing-info", "--warnings=0"),
                    *(f"-l{folder / 'private'}", *(f"-e{path}" for path in libraries)),
                ],
                environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(folder)},
                folder=folder,
                log=told,
                time_limit_s=_TIME_LIMIT_S,
                stop=stop,
            )
        except programs.TookTooLong:
            return None, f"it took longer than {_TIME_LIMIT_S:g} s"
        complaints = told.read(0, LOG_LIMIT).decode(errors="replace")
    return (answer.read_text() if code == 0 else None), complaints


def _packages(depends: str) -> tuple[str, ...]:
    """Return the packages in dpkg-shlibdeps' answer, such as "shlibs:Depends=libc6 (>= 2.14), zlib1g"."""
    found = set()
    for line in depends.splitlines():
        for dependency in line.partition("=")[2].split(","):
            if match := _PACKAGE.match(dependency):
                name, versions = match.groups()
                found.add(f"{name} {versions}" if versions else name)
    return tuple(sorted(found))
