"""Debian packages that a recipe asks for, unpacked for one build and installed for nobody.

No right of root is needed, and the next build sees nothing of them: they are fetched by apt, which checks
their signatures, and unpacked into a folder that the sandbox shows read-only.
"""

import os
import re
import signal
import subprocess
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from builder.client import DeadTicket
from builder.log import Log
from builder.place import remove

_TIME_LIMIT_S = 900.0
# How soon we notice that the build was called off.
_GLANCE_S = 0.2
_ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
# "Inst libffi-dev (3.4.4-1 Debian:12.5/stable [amd64])", of `apt-get --simulate`.
_INST = re.compile(r"^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) ", re.MULTILINE)
_INSIDE = Path("/run/apt")
# More than a recipe could sensibly want; a desktop has some 2,000.
_MOST = 300


class NoSuchPackages(Exception):
    """apt cannot give what a recipe asks for; the text says why."""


class NotFetched(Exception):
    """The archive, or a program of Debian's, did not do its work, which says nothing of the recipe."""


@dataclass(frozen=True)
class Extra:
    """Unpacked packages: where they lie, and what dpkg would know of them if they were installed."""

    root: Path | None = None
    shown_at: Path = Path("/")
    packages: tuple[str, ...] = ()
    database: Path | None = None  # as /var/lib/dpkg/info

    def readable(self) -> dict[Path, Path]:
        """Return what a sandbox must show, and where."""
        return {} if self.root is None else {self.root: self.shown_at}

    def environment(self, *, path: str) -> dict[str, str]:
        """Return the variables with which compilers and programs find the packages, after that PATH."""
        if self.root is None:
            return {}
        inside = self.shown_at
        triplet = str(sysconfig.get_config_var("MULTIARCH") or "")
        libraries = [inside / "usr/lib" / triplet, inside / "usr/lib", inside / "lib" / triplet]
        return {
            "PATH": f"{inside / 'usr/bin'}:{path}",
            "CPATH": _joined(inside / "usr/include" / triplet, inside / "usr/include"),
            "LIBRARY_PATH": _joined(*libraries),
            "LD_LIBRARY_PATH": _joined(*libraries),
            "PKG_CONFIG_PATH": _joined(
                *(place / "pkgconfig" for place in (*libraries, inside / "usr/share"))
            ),
            "CMAKE_PREFIX_PATH": str(inside / "usr"),
        }


def _joined(*paths: Path) -> str:
    return ":".join(str(path) for path in paths)


def unpack_extra(packages: Sequence[str], folder: Path, log: Log, stop: Event, *, is_shown: bool) -> Extra:
    """Fetch Debian packages, and what they depend on that is not installed, into a folder.

    A sandbox shows them at a path of its own; without one, a build sees them where they are.
    Raises NoSuchPackages when there are none such, NotFetched when they cannot be had, or DeadTicket when
    told to stop.
    """
    if not packages:
        return Extra()
    debs, root, database = folder / "debs", folder / "root", folder / "info"
    shown_at = _INSIDE if is_shown else root
    for path in (debs, root, database):
        path.mkdir()
    wanted = _fetch(packages, debs, folder / "archive", log, stop)
    log.note(
        f"unpacking {', '.join(f'{name} {version}' for name, version in wanted) or 'nothing: all is there'}"
    )
    for deb in sorted(debs.glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(deb), str(root)], debs, stop)
        _register(deb, database, stop)
    _relocate(root, shown_at)
    return Extra(root, shown_at, tuple(f"{name} ({version})" for name, version in wanted), database)


def _fetch(packages: Sequence[str], debs: Path, own: Path, log: Log, stop: Event) -> list[tuple[str, str]]:
    """Fetch what is not installed of packages, and of what they depend on; return names and versions.

    The system's lists may be older than the archive, which no longer has what they name, or has more.  So
    what fails with them is tried again with lists of the build's own, in the folder `own`.
    """
    try:
        wanted = _missing(packages, debs, [], stop)
        _download(wanted, debs, [], stop)
    except NotFetched as fault:
        log.note(f"{fault}; trying again with what the archive has now")
        options = _update(own, debs, stop)
        try:
            wanted = _missing(packages, debs, options, stop)
        except NotFetched as error:
            raise NoSuchPackages(str(error)) from error
        # Whatever came of the other versions.
        remove(debs)
        debs.mkdir()
        _download(wanted, debs, options, stop)
    remove(own)
    return wanted


def _missing(
    packages: Sequence[str], folder: Path, options: Sequence[str], stop: Event
) -> list[tuple[str, str]]:
    """Return names and versions of what apt would install."""
    asked = ["--simulate", "--no-install-recommends", "install", "--", *packages]
    wanted: list[tuple[str, str]] = _INST.findall(_apt([*options, *asked], folder, stop))
    if len(wanted) > _MOST:
        raise NoSuchPackages(
            f"{' '.join(packages)} would bring {len(wanted)} packages; {_MOST} are taken at most."
        )
    return wanted


def _download(wanted: Sequence[tuple[str, str]], folder: Path, options: Sequence[str], stop: Event) -> None:
    """Fetch packages in these versions into a folder."""
    if wanted:
        named = [f"{name}={version}" for name, version in wanted]
        _apt([*options, "download", "--", *named], folder, stop)


def _update(own: Path, folder: Path, stop: Event) -> list[str]:
    """Ask the archive what it has; return the options with which apt goes by that from then on."""
    (own / "lists" / "partial").mkdir(parents=True)
    options = _options(
        f"Dir::State::Lists={own}/lists",
        f"Dir::Cache::pkgcache={own}/pkgcache.bin",
        f"Dir::Cache::srcpkgcache={own}/srcpkgcache.bin",
    )
    # For root, apt would fetch as a user who may not write here.  And by itself it forgives an archive that
    # does not answer, after which there seem to be no packages at all.
    strict = _options("APT::Sandbox::User=root", "APT::Update::Error-Mode=any")
    _apt([*options, *strict, "update"], folder, stop)
    return options


def _options(*settings: str) -> list[str]:
    """Return apt's options for settings that its configuration has otherwise."""
    return [word for setting in settings for word in ("-o", setting)]


def _apt(words: Sequence[str], folder: Path, stop: Event) -> str:
    """Run apt-get without rights and without questions, and return what it printed."""
    # Its lock is root's, and nothing here needs it.
    return _run(["apt-get", "-q", "-o", "Debug::NoLocking=1", *words], folder, stop)


def _run(words: Sequence[str], folder: Path, stop: Event) -> str:
    """Run one of Debian's own programs; raises NotFetched when it fails, DeadTicket when told to stop."""
    until = time.monotonic() + _TIME_LIMIT_S
    try:
        with subprocess.Popen(
            words,
            cwd=folder,
            env={**_ENVIRONMENT, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                printed, complained = _output(process, until, stop)
            except BaseException:
                # With whoever fetches for apt.
                os.killpg(process.pid, signal.SIGKILL)
                raise
    except OSError as error:
        raise NotFetched(f"{words[0]} could not be run: {error}") from error
    if process.returncode != 0:
        # apt prints what it lacks, and complains only that it lacks something.
        said = b"\n".join((printed[-1000:], complained[-1000:])).decode(errors="replace")
        raise NotFetched(f"{words[0]} failed: {said.strip()}")
    return printed.decode(errors="replace")


def _output(process: "subprocess.Popen[bytes]", until: float, stop: Event) -> tuple[bytes, bytes]:
    """Return all that a program prints until it ends."""
    while True:
        try:
            return process.communicate(timeout=_GLANCE_S)
        except subprocess.TimeoutExpired:
            if stop.is_set():
                raise DeadTicket("The build was called off while apt was at work.") from None
            if time.monotonic() > until:
                raise NotFetched(f"apt took longer than {_TIME_LIMIT_S:.0f} s.") from None


def _register(deb: Path, database: Path, stop: Event) -> None:
    """Put what a package says of its libraries where it would be if the package were installed."""
    name = _run(["dpkg-deb", "--show", "--showformat=${Package}:${Architecture}", str(deb)], database, stop)
    control = database / "control"
    _run(["dpkg-deb", "--control", str(deb), str(control)], database, stop)
    for kind in ("symbols", "shlibs"):
        if (control / kind).exists():
            (control / kind).rename(database / f"{name}.{kind}")
    remove(control)
    listed = _run(["dpkg-deb", "--contents", str(deb)], database, stop)
    paths = [line.split(" -> ")[0].partition(" ./")[2] for line in listed.splitlines()]
    (database / f"{name}.list").write_text("".join(f"/{path}\n" for path in paths))


def _relocate(root: Path, shown_at: Path) -> None:
    """Make what was unpacked right for where it lies: .pc files, and links to what is installed."""
    for described in root.rglob("*.pc"):
        if described.is_file() and not described.is_symlink():
            text = described.read_text(errors="surrogateescape")
            text = re.sub(r"^(\w*prefix)=/usr", rf"\1={shown_at}/usr", text, flags=re.MULTILINE)
            described.write_text(text.replace("=/usr/", f"={shown_at}/usr/"), errors="surrogateescape")
    for link in root.rglob("*.so*"):
        if link.is_symlink() and not link.exists():
            # A -dev package links to its library, which is installed and so was not unpacked.
            installed = Path("/") / link.relative_to(root).parent / os.readlink(link)  # noqa: PTH115
            link.unlink()
            link.symlink_to(installed)
