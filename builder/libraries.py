"""Which apt packages a wheel's machine code needs.

dpkg-shlibdeps reads the files and executes nothing of them, as ldd might.  It takes strangers' files all the
same, so whoever calls says how it is run: in the build's sandbox, if there is one.
"""

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
TIME_LIMIT_S = 600.0
# Libraries may be missing in turns: a stand-in for one lets the search go on to the next.
_ROUNDS = 5

_MISSING = re.compile(r"cannot find library (\S+) needed by (\S+)")
# "libgl1 | libgl1-mesa-glx (>= 1)" is either of them; the first is what Debian itself would install.
_PACKAGE = re.compile(r"\s*([a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?\s*(\([<>=]{1,2} [A-Za-z0-9.+~:-]+\))?")

# What dpkg-shlibdeps wants to see: a source package.
_CONTROL = "Source: wheel\nMaintainer: nobody <nobody@localhost>\n\nPackage: wheel\nArchitecture: any\n"


@dataclass(frozen=True)
class Runner:
    """How a program is run, and where it sees what we put into a folder."""

    # The command, its environment, its folder as we see it, and where its output goes -> its exit code.
    run: Callable[[Sequence[str], Mapping[str, str], Path, Log], int]
    inside: Callable[[Path], Path]


@dataclass(frozen=True)
class Needs:
    """What a wheel needs of the system."""

    apt: tuple[str, ...]  # Debian packages, "libpq5 (>= 10)"
    unresolved: tuple[str, ...]  # libraries that no package on this builder has


def unboxed(stop: Event) -> Runner:
    """Return a runner without a sandbox, which raises DeadTicket when told to stop."""

    def run(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Log) -> int:
        try:
            return programs.run(
                command, environment=environment, folder=folder, log=log, time_limit_s=TIME_LIMIT_S, stop=stop
            )
        except programs.TookTooLong:
            log.write(f"it took longer than {TIME_LIMIT_S:g} s".encode())
            return -1

    return Runner(run, inside=lambda path: path)


def apt_packages(wheel: BinaryIO, folder: Path, *, log: Log, runner: Runner) -> Needs:
    """Return what a wheel needs, less what it brings itself; `folder` is for us to fill.

    What cannot be found out is noted in the log and left out.
    """
    private = folder / "private"
    private.mkdir()
    (folder / "debian").mkdir()
    (folder / "debian" / "control").write_text(_CONTROL)
    try:
        files = list(_extract(wheel, private))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        log.note(f"the wheel's libraries cannot be read: {error}")
        return Needs((), ())
    if not files:
        return Needs((), ())
    if shutil.which("dpkg-shlibdeps") is None:
        log.note("dpkg-shlibdeps is not installed (apt install dpkg-dev): no apt packages are listed")
        return Needs((), ())
    return _resolve(files, folder, log=log, runner=runner)


def _extract(wheel: BinaryIO, folder: Path) -> Iterator[Path]:
    """Write the libraries and programs in a wheel to a folder, each by its own name without its path."""
    room = _LARGEST_IN_ALL
    with zipfile.ZipFile(wheel) as archive:
        maybe = [member for member in archive.infolist() if _may_be_code(member)]
        if len(maybe) > _MOST:
            raise ValueError(f"there are {len(maybe)} of them")
        for number, member in enumerate(maybe):
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


def _may_be_code(member: zipfile.ZipInfo) -> bool:
    """Tell whether a file is worth a look: a library by its name, a program by its permissions or place."""
    is_program = member.external_attr >> 16 & stat.S_IXUSR or ".data/scripts/" in member.filename
    return bool(_SHARED.fullmatch(member.filename) or (is_program and not member.is_dir()))


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


def _resolve(files: list[Path], folder: Path, *, log: Log, runner: Runner) -> Needs:
    """Return what these files need."""
    unresolved: set[str] = set()
    for _ in range(_ROUNDS):
        depends, complaints = _ask(files, folder, runner)
        if depends is not None:
            return Needs(_packages(depends), tuple(sorted(unresolved)))
        missing = {found[1] for found in _MISSING.finditer(complaints) if _PLAIN.fullmatch(found[1])}
        for name in sorted(missing):
            log.note(f"no package on this builder has {name}")
            unresolved.add(name)
            if not (folder / "private" / name).exists():
                shutil.copy(files[0], folder / "private" / name)
        if not missing:
            break
    log.note(f"dpkg-shlibdeps cannot tell the wheel's apt packages: {complaints[:1000].strip()}")
    return Needs((), tuple(sorted(unresolved)))


def _ask(files: list[Path], folder: Path, runner: Runner) -> tuple[str | None, str]:
    """Return what dpkg-shlibdeps says these files depend on, None if it fails, and its complaints."""
    answer = folder / "answer"
    answer.unlink(missing_ok=True)
    inside = runner.inside
    command = ["dpkg-shlibdeps", f"-O{inside(answer)}", "--ignore-missing-info", "--warnings=0"]
    command += [f"-l{inside(folder / 'private')}", *(f"-e{inside(path)}" for path in files)]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(inside(folder))}
    with Log(folder) as told:
        code = runner.run(command, environment, folder, told)
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
