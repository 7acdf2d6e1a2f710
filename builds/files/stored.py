"""What the names in a storage mean: of which wheel or build each file is.  No Django, and no rows.

ab/ab12…/demo-1.0-py3-none-any.whl                       a wheel, below the sha256 of its bytes
ab/ab12…/demo-1.0-py3-none-any.whl.metadata              the copy of its METADATA
ab/ab12…/demo-1.0-py3-none-any.whl.17.provenance         the statement of build 17 of what it was made of
logs/0000/0000/0017.txt.gz                               the log of build 17
piwheels-storage                                         the mark of a storage that is a folder
lost-and-found/…                                         what belonged to nothing, under the name it had
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

MARK = "piwheels-storage"
LOGS = "logs"
# The last four digits of a build's number are its log's name.
LOGS_IN_FOLDER = 10_000
# Not ext4's own `lost+found`, which belongs to root where a storage is a whole disk.
LOST_AND_FOUND = "lost-and-found"
_DISKS_OWN = "lost+found"
# What is being written is called so; a crash leaves it behind.
TEMPORARY = ".new-"

# How long a file may lie without a row: it is stored before its row is written.
GRACE = timedelta(days=1)

PREFIXES = tuple(f"{number:02x}" for number in range(256))

_BY_HASH = re.compile(
    r"([0-9a-f]{2})/((?:\1)[0-9a-f]{62})/([^/]+\.whl)(\.metadata|\.[0-9]{1,18}\.provenance)?"
)
_LOG = re.compile(rf"{LOGS}/([0-9]{{4}})/([0-9]{{4}})/([0-9]{{4,10}})\.txt\.gz")


@dataclass(frozen=True)
class Stored:
    """A file in a storage, as its listing tells of it."""

    name: str
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class WheelFile:
    """What a name below a hash says."""

    sha256: str
    filename: str
    ending: str  # "" for the wheel itself

    @property
    def is_exact(self) -> bool:
        """Whether the bytes follow from the hash; statements are made anew with each try."""
        return not self.ending.endswith(".provenance")


def wheel_file(name: str) -> WheelFile | None:
    """Return of which wheel a file is, None if it is none's."""
    found = _BY_HASH.fullmatch(name)
    return WheelFile(found[2], found[3], found[4] or "") if found else None


def log_name(build: int) -> str:
    """Return the name of a build's log: piwheels.org's, three groups of four digits."""
    digits = f"{build:012d}"
    return f"{LOGS}/{digits[:4]}/{digits[4:8]}/{digits[8:]}.txt.gz"


def log_build(name: str) -> int | None:
    """Return of which build a file is the log, None if it is no log."""
    found = _LOG.fullmatch(name)
    return int("".join(found.groups())) if found else None


def is_temporary(name: str) -> bool:
    """Tell whether a name is that of a file which is being written, or was when somebody crashed."""
    return name.rsplit("/", 1)[-1].startswith(TEMPORARY)


def is_ours(top: str) -> bool:
    """Tell whether a name at the top of a storage is one that we put there, or the disk itself did."""
    return top in PREFIXES or top in (LOGS, LOST_AND_FOUND, _DISKS_OWN)


def hash_folder(name: str) -> str:
    """Return the part of a name that tells of which hash it is, as the order of full names sorts it."""
    parts = name.split("/", 2)
    return parts[1] + "/" * (len(parts) > 2) if len(parts) > 1 else parts[0]


def log_folders(tops: Iterator[tuple[str, list[str]]], number: int, of: int) -> list[str]:
    """Return one part of all folders of logs, so that each log is in just one of so many parts."""
    return [
        f"{LOGS}/{top}/{below}"
        for top, folders in tops
        for below in folders
        if top.isdecimal() and below.isdecimal() and int(top + below) % of == number
    ]
