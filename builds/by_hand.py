"""Publishes wheels that a person has built by hand, as one build, by the same way as a builder's.

Nothing of a file is believed here either: it is verified as an upload is, before a build is begun and again
when it is published.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from django.db import IntegrityError, transaction
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion
from packaging.version import Version as ParsedVersion

from builder.contract import CONTRACT, LOG_LIMIT, MAX_WHEELS, BuildReport, Verdict, WheelReport
from builds import results
from builds.attached import Attached
from builds.files import incoming, logs, moving
from builds.models import Build, Builder, Target, Terms, Wheel
from builds.planning import wishes
from builds.publish import Ended, expected_of
from builds.wheels import build_tags
from builds.wheels.verify import verify
from builds.wheels.wheel_names import BadWheel, check_filename
from packages.clock import database_now
from packages.models import Package, Version


class CannotImport(Exception):
    """These files cannot be published; the text says why and what to do."""


@dataclass(frozen=True)
class Import:
    """Wheels that were looked at and fit what they are to be."""

    version: Version
    target: Target
    paths: tuple[Path, ...]
    build_tag: int | None


@dataclass(frozen=True)
class Told:
    """What a person says of a build that no file shows."""

    by: str
    duration_s: float = 0.0
    log: bytes = b""
    apt: tuple[str, ...] = ()


def prepare(paths: Sequence[Path], version: Version | None = None, target: Target | None = None) -> Import:
    """Look at wheels and return what they are to be, by their names unless that is given.

    Raises CannotImport.
    """
    if not 1 <= len({path.name for path in paths}) == len(paths) <= MAX_WHEELS:
        raise CannotImport(f"Give 1 to {MAX_WHEELS} wheels of one build, each once.")
    try:
        names = [parse_wheel_filename(path.name) for path in paths]
    except InvalidWheelFilename as error:
        raise CannotImport(f"{error}. Name the file as the wheel specification says.") from error
    version = version or _version(names[0][0], names[0][1])
    tag = names[0][2][0] if names[0][2] else None
    found = Import(version, target or _target(version, tag, paths), tuple(paths), tag)
    for path in paths:
        _verify(found, path)
    return found


def _version(name: str, wanted: ParsedVersion) -> Version:
    """Return the version that a wheel's name has."""
    package = Package.objects.filter(name=canonicalize_name(name)).first()
    if package is None:
        raise CannotImport(f"The farm does not follow {name}: add_package does so.")
    there = package.versions.exclude(canonical="")
    found = [each for each in there if _is(each.canonical, wanted)]
    if len(found) != 1:
        what = "has several spellings" if found else "is not there"
        raise CannotImport(
            f"{package} {wanted} {what}, as far as the farm knows of upstream: `sync_pypi {package}` looks,"
            " and --package names it."
        )
    return found[0]


def _is(canonical: str, wanted: ParsedVersion) -> bool:
    """Tell whether a version of ours is that one."""
    try:
        return ParsedVersion(canonical) == wanted
    except InvalidVersion:
        return False


def _target(version: Version, tag: int | None, paths: Iterable[Path]) -> Target:
    """Return the one target that could have built all of these files."""
    fit = [target for target in Target.objects.all() if _fits(Import(version, target, tuple(paths), tag))]
    active = [target for target in fit if target.is_active]
    [*found] = active or fit
    if len(found) == 1:
        return found[0]
    said = ", ".join(map(str, found)) or "none that is here"
    raise CannotImport(f"Their names are those of wheels for {said}: say with --target which one built them.")


def _fits(wanted: Import) -> bool:
    """Tell whether a target's builder could have given all of these names."""
    try:
        for path in wanted.paths:
            check_filename(path.name, expected_of(_unsaved(wanted)))
    except BadWheel:
        return False
    return True


def _unsaved(wanted: Import) -> Build:
    """Return the build that such wheels would be of."""
    return Build(version=wanted.version, target=wanted.target, build_tag=wanted.build_tag)


def _verify(wanted: Import, path: Path) -> None:
    """Refuse a file before anything is begun, if it is not what it is to be."""
    build = _unsaved(wanted)
    try:
        with path.open("rb") as file:
            wheel = verify(file, path.name, expected_of(build), scratch=incoming.scratch())
    except BadWheel as error:
        raise CannotImport(str(error)) from error
    except OSError as error:
        raise CannotImport(f"{path} cannot be read: {error}") from error
    if Wheel.objects.is_taken_down(path.name):
        raise CannotImport(f"{path.name} was taken down, and nothing gets its name again.")
    before = Wheel.objects.published(path.name)
    if before and before[1] != wheel.sha256 and build_tags.same_before(build, wheel) is None:
        raise CannotImport(
            f"Build {before[0]} has published another {path.name}, and the bytes behind a name never change:"
            " build it with a build tag, as 1."
        )


def run(wanted: Import, told: Told, now: datetime) -> Verdict:
    """Publish wheels that were looked at, as a build of their own; return what became of it.

    Raises CannotImport when it could not begin.  One that is killed is taken back as any lost build.
    """
    build, waited = _begin(wanted, told, now)
    logs.begin(build.pk)
    faults: tuple[type[Exception], ...] = (Ended, incoming.BadUpload, *moving.faults())
    try:
        wheels = tuple(_bring(build, path, told.apt) for path in wanted.paths)
        report = BuildReport(
            contract=CONTRACT,
            succeeded=True,
            reason="",
            duration_s=told.duration_s,
            wheels=wheels,
            rung="by hand",
            environment={"imported by": told.by},
        )
        log = told.log or f"{Build.IMPORTED}{told.by}.\n".encode()
        # Nobody else does so, and all of it was copied meanwhile.
        build.prolong(database_now())
        again = partial(_queue_again, reason=waited)
        return results.close(build, report, Attached(0, log[:LOG_LIMIT], None), now, last=again)
    except faults as error:
        _give_up(build, str(error), waited=waited, now=now)
        raise CannotImport(f"{error or 'The build was ended meanwhile.'} Nothing was published.") from error


@transaction.atomic
def _begin(wanted: Import, told: Told, now: datetime) -> tuple[Build, str | None]:
    """Return a running build of nobody's but ours, and its `rebuild_reason` from when it waited.

    None if it did not wait.
    """
    wanted.version.package.hold()
    before = Build.objects.filter(version=wanted.version, target=wanted.target).order_by("-attempt").first()
    if before and before.is_open and before.state != Build.State.QUEUED:
        raise CannotImport(f"{before} is being made at this moment: wait for it, or cancel it.")
    waited = before.rebuild_reason if before and before.is_open else None
    build = _attempt(wanted, before, f"{Build.IMPORTED}{told.by}.")
    by_hand = Builder.by_hand(wanted.target)
    if by_hand.is_enabled:
        raise CannotImport(
            f"Here a real builder is called {by_hand}: retire it, and enrol it by another name."
        )
    terms = Terms(build_tag=wanted.build_tag)
    try:
        with transaction.atomic():
            begun = build.take(by_hand, wishes.source_of(build), now, terms)
    except IntegrityError as error:
        raise CannotImport("Another import goes on at this moment: wait for its end.") from error
    if not begun:
        raise CannotImport(f"{build} was given to a builder at this moment: wait for it, or cancel it.")
    running = Build.objects.of_request(build.pk)
    if running is None:
        raise CannotImport(f"{build} is gone.")
    return running, waited


def _attempt(wanted: Import, before: Build | None, why: str) -> Build:
    """Return the waiting build that was made by hand: the one that waits, or another attempt."""
    if before and before.is_open:
        before.want_anew(before.rebuild_reason or why)
        return before
    if before:
        return before.again(losses=0, priority=before.priority, why=why, rebuild_reason=why)
    released_at = wanted.version.released_at
    known = {"released_at": released_at} if released_at else {}
    return Build.objects.create(version=wanted.version, target=wanted.target, rebuild_reason=why, **known)


def _bring(build: Build, path: Path, apt: tuple[str, ...]) -> WheelReport:
    """Copy a wheel to where uploads arrive, and return it as a builder would report it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        incoming.receive(build.pk, sha256, file, offset=0, length=size, total=size)
    return WheelReport(filename=path.name, size=size, sha256=sha256, apt=apt)


def _give_up(build: Build, reason: str, *, waited: str | None, now: datetime) -> None:
    """End a build that was begun in vain."""
    incoming.discard(build.pk)
    with transaction.atomic():
        build.version.package.hold()
        if build.cancel(f"The import by hand came to nothing: {reason}", now):
            _queue_again(build, waited)


def _queue_again(build: Build, reason: str | None) -> None:
    """Let a builder have what waited for one before the import, for the reason that it waited for.

    None is what did not wait.
    """
    if reason is None or build.has_open_successor():
        return
    why = "An import by hand came to nothing."
    build.again(losses=0, priority=build.priority, why=why, rebuild_reason=reason)
    build.version.package.request_plan()
