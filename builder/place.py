"""Where a build happens: a fresh folder that nothing of is left afterwards."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import getpid, getuid
from pathlib import Path

from builder.contract import BuildOrder
from builder.settings import BadSettings, Settings

# How the folder's name begins in which a process, by its number, tries what a build could do.
PREFLIGHT = "preflight-"
_OF_A_BUILD = re.compile(rf"[0-9]+-[0-9]+|{PREFLIGHT}(?:(?P<process>[0-9]+)-)?.+")


@dataclass(frozen=True)
class Place:
    """The folders of one build."""

    root: Path

    @property
    def source(self) -> Path:
        """Where the source lies."""
        return self.root / "in"

    @property
    def src(self) -> Path:
        """Where the source is unpacked."""
        return self.root / "src"

    @property
    def home(self) -> Path:
        """The home of whoever builds."""
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        """Where temporary files go."""
        return self.root / "tmp"

    @property
    def out(self) -> Path:
        """Where wheels come out."""
        return self.root / "out"

    @property
    def apt(self) -> Path:
        """Where Debian packages are unpacked that a recipe asks for."""
        return self.root / "apt"

    @property
    def folders(self) -> tuple[Path, ...]:
        """All of these."""
        return (self.source, *self._written, self.apt)

    @property
    def _written(self) -> tuple[Path, ...]:
        """Those that a build may write to."""
        return (self.src, self.home, self.tmp, self.out)

    def clear(self) -> None:
        """Empty what a build may write to, so that the next step finds nothing of the last one."""
        for path in self._written:
            remove(path)
            path.mkdir(mode=0o700)


def workshop(settings: Settings) -> Path:
    """Return the folder of all of this builder's builds; raises BadSettings if it is not ours alone."""
    folder = settings.work / settings.builder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise BadSettings(f"PIWHEELS_WORK cannot be used: {error}.") from error
    # In a folder that all may write to, such as /tmp, somebody else may have come first.
    if folder.is_symlink() or status.st_uid != getuid():
        raise BadSettings(f"{folder} is not this user's own folder: remove it, or set PIWHEELS_WORK.")
    return folder


def remove_leftovers(folder: Path) -> None:
    """Remove what builds left when their builder was killed.

    A check of this machine may go on in the same folder, as when `deploy/builder-setup` starts the builder.
    """
    for path in folder.iterdir():
        found = _OF_A_BUILD.fullmatch(path.name)
        if found and not _is_another(found["process"]):
            remove(path)


def _is_another(process: str | None) -> bool:
    """Tell whether that is another process, which lives."""
    return process not in (None, str(getpid())) and Path(f"/proc/{process}").exists()


@contextmanager
def fresh(folder: Path, order: BuildOrder) -> Iterator[Place]:
    """Make the folders of a build, and remove them with all that is in them."""
    with made(folder / f"{order.build}-{order.attempt}") as place:
        yield place


@contextmanager
def made(root: Path) -> Iterator[Place]:
    """Make the folders of a place, and remove them with all that is in them."""
    place = Place(root)
    remove(root)
    try:
        for path in (root, *place.folders):
            path.mkdir(mode=0o700)
        yield place
    finally:
        remove(root)


def remove(path: Path) -> None:
    """Remove a folder, also if a build took its own permissions away or nested it very deep."""
    if path.is_symlink():
        path.unlink()
    if not path.exists():
        return
    # rm and chmod of coreutils: shutil.rmtree gives up at a thousand levels.
    subprocess.run(["chmod", "-R", "u+rwX", "--", str(path)], check=False, capture_output=True)
    subprocess.run(["rm", "-rf", "--", str(path)], check=True, capture_output=True)
