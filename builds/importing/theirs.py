"""Builds and files as the database of piwheels.org's software tells of them, a page at a time."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from builds.models import Build, Target
from packages.importing import names, versions
from packages.importing.original import Original, Row, epoch

BATCH = 500
_SHA256 = re.compile(r"[0-9a-f]{64}")

_COLUMNS = f"""
    SELECT build_id, package, version, coalesce(built_by, 0), {epoch("built_at")},
           extract(epoch FROM duration)::float8, status, abi_tag, coalesce(packages.skip, ''),
           coalesce(versions.skip, ''), {epoch("released")}
    FROM builds JOIN versions USING (package, version) JOIN packages USING (package)
"""  # noqa: S608 (of constants)
_PAGE = f"{_COLUMNS} WHERE build_id > %s ORDER BY build_id LIMIT {BATCH}"
_THESE = f"{_COLUMNS} WHERE build_id = ANY(%s) ORDER BY build_id"
# What pip needs is read from the wheels, which have it with versions and markers.
_FILES = """
    SELECT {is_deleted}, filename, build_id, filesize, filehash, coalesce(location, '/simple'), (
        SELECT json_agg(json_build_array(tool, dependency)) FROM dependencies
        WHERE dependencies.filename = files.filename AND tool <> 'pip'
    )
    FROM files WHERE build_id = ANY(%s) ORDER BY filename
"""
# Of builds without files: which of them a later one may have taken the name of their file from.
_LATER = """
    SELECT DISTINCT mine.build_id FROM builds mine JOIN builds other USING (package, version)
    JOIN files ON files.build_id = other.build_id
    WHERE mine.build_id = ANY(%s) AND other.build_id > mine.build_id AND NOT ({is_deleted})
        AND files.abi_tag IN (mine.abi_tag, 'abi3', 'none')
"""

_LOCATIONS = "SELECT DISTINCT coalesce(location, '/simple') FROM files WHERE NOT ({is_deleted})"


@dataclass(frozen=True)
class File:
    """A file of theirs."""

    filename: str
    build: int
    size: int
    sha256: str
    location: str
    needs: tuple[tuple[str, str], ...]  # tool and name

    def refusal(self) -> str:
        """Return why it cannot be taken, as far as its row tells; "" if nothing does."""
        if not _SHA256.fullmatch(self.sha256) or self.size <= 0:
            return "its size or hash in the database is none"
        return ""


@dataclass(frozen=True)
class Made:
    """A build of theirs, with its files."""

    number: int
    package: str
    version: str
    builder: int
    ended_s: float | None
    duration_s: float | None
    is_good: bool
    abi: str
    package_skip: str
    version_skip: str
    released_s: float | None
    files: tuple[File, ...]
    deleted: int  # files that were deleted there, and of which there is a row left
    is_replaced: bool  # without files, while a later build has one that may have had the same name

    @property
    def ended_at(self) -> datetime:
        """When it ended; one that has no time is refused."""
        return datetime.fromtimestamp(self.ended_s or 0.0, UTC)

    @property
    def began_at(self) -> datetime:
        """When it began, as far as its duration tells."""
        return self.ended_at - timedelta(seconds=self.duration_s or 0.0)

    @property
    def released_at(self) -> datetime:
        """When its version was released."""
        return datetime.fromtimestamp(self.released_s, UTC) if self.released_s else self.began_at

    def refusal(self, targets: Mapping[str, Target], most: int) -> str:
        """Return why it is not taken; "" if it is."""
        if names.refusal(self.package, self.package_skip):
            return "its package is not taken"
        if versions.refusal(self.version, self.version_skip):
            return "its version is not taken"
        if self.abi not in targets:
            return "there is no target for its ABI"
        if not 0 < self.number <= most:
            return "its number is taken by a build of ours, or is none"
        return "" if self.ended_s is not None else "it has no time"


def locations(original: Original) -> list[str]:
    """Return where its files are said to be."""
    return [place for (place,) in original.page(_LOCATIONS.format(is_deleted=original.is_deleted))]


def page(original: Original, after: int) -> list[Made]:
    """Return the next builds behind a number."""
    return _with_files(original, original.page(_PAGE, [after]))


def these(original: Original, numbers: Sequence[int]) -> list[Made]:
    """Return builds by their numbers."""
    return _with_files(original, original.page(_THESE, [list(numbers)]))


def _with_files(original: Original, rows: Sequence[Row]) -> list[Made]:
    """Return builds with their files."""
    files: dict[int, list[File]] = {row[0]: [] for row in rows}
    deleted: Counter[int] = Counter()
    sql = _FILES.format(is_deleted=original.is_deleted)
    for is_deleted, filename, build, size, sha256, location, needs in original.page(sql, [list(files)]):
        if is_deleted:
            deleted[build] += 1
            continue
        told = tuple((str(tool), str(name)) for tool, name in needs or ())
        files[build].append(File(filename, build, size, sha256.strip(), location, told))
    empty = [row[0] for row in rows if row[6] and not files[row[0]]]
    later = _LATER.format(is_deleted=original.is_deleted)
    replaced = {number for (number,) in original.page(later, [empty])} if empty else set()
    return [
        _made(row, files[row[0]], deleted=deleted[row[0]], is_replaced=row[0] in replaced) for row in rows
    ]


def _made(row: Row, files: Iterable[File], *, deleted: int, is_replaced: bool) -> Made:
    number, package, version, builder, ended_s, duration_s, is_good, abi, *rest = row
    is_known = duration_s is not None and 0 <= duration_s < Build.LONGEST_S
    return Made(
        number=number,
        package=package,
        version=version,
        builder=builder,
        ended_s=ended_s,
        duration_s=duration_s if is_known else None,
        is_good=bool(is_good),
        abi=abi or "",
        package_skip=rest[0],
        version_skip=rest[1],
        released_s=rest[2],
        files=tuple(files),
        deleted=deleted,
        is_replaced=is_replaced,
    )
