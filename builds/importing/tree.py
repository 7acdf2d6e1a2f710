"""Where piwheels.org's software keeps its files: wheels by package, logs by number (no Django)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# The place of what is at hand; others are addresses of hosts that keep what is rarely asked for.
SIMPLE = "/simple"


class NotThere(Exception):
    """There is no such file; the text is the same for all that are missed for the same reason."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Tree:
    """Its folder, and the folders that the files of other hosts can be read from."""

    root: Path
    archives: Mapping[str, Path] = field(default_factory=dict)

    def lacking(self) -> list[Path]:
        """Return which folders are not there."""
        return [path for path in (self.root / "simple", *self.archives.values()) if not path.is_dir()]

    def unknown(self, locations: Iterable[str]) -> list[str]:
        """Return which places of files have no folder here."""
        return sorted({place.rstrip("/") for place in locations} - {SIMPLE, *self.archives})

    def unused(self, locations: Iterable[str]) -> list[str]:
        """Return which archives are the place of no file."""
        return sorted(self.archives.keys() - {place.rstrip("/") for place in locations})

    def wheel(self, location: str, package: str, filename: str) -> Path:
        """Return the path of a wheel, past the links that lead from one name to another."""
        if location.rstrip("/") == SIMPLE:
            return _below(self.root / "simple", f"{package}/{filename}")
        folder = self.archives.get(location.rstrip("/"))
        if folder is None:
            raise NotThere("it is on another host: name its folder with --archive", location)
        return _below(folder, f"{package}/{filename}")

    def log(self, build: int) -> Path:
        """Return the path of a build's log."""
        digits = f"{build:012d}"
        return _below(self.root / "logs", f"{digits[:4]}/{digits[4:8]}/{digits[8:]}.txt.gz")


def _below(folder: Path, name: str) -> Path:
    """Return the path of a plain file that is really below a folder."""
    try:
        path, top = (folder / name).resolve(strict=True), folder.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise NotThere("there is no such file") from error
    if not path.is_relative_to(top):
        raise NotThere("its link leads out of the folder", str(path))
    if not path.is_file():
        raise NotThere("it is no plain file")
    return path
