"""From a file that a builder brought to a wheel that the index shows.

verify -> store -> record, in this order: a file without a row is harmless, a row without a file is a broken
download.  Nothing that the builder says of a file is believed; what its bytes say must fit the order.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader, BytesIO
from typing import BinaryIO

from django.db import transaction
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from builder.contract import BuildReport, WheelReport
from builds import debian, provenance
from builds.attached import Attached
from builds.files import incoming, storage
from builds.models import Build, Dependency, Wheel
from builds.outcome import outcome_of
from builds.wheels import build_tags
from builds.wheels.verify import VerifiedWheel, verify
from builds.wheels.wheel_names import BadWheel, Expected
from packages.clock import database_now

# What follows a package's name in brackets is the version that is needed.
_APT = re.compile(rf"({debian.PACKAGE})( \([<>=]{{1,2}} [A-Za-z0-9.+~:-]{{1,100}}\))?")
_LIBRARY = re.compile(r"[A-Za-z0-9_.+-]{1,200}")
_TRIALS = ("works", "fails", "unknown")
# The last lines of what went wrong; what does not fit is not worth keeping.
_LARGEST_DETAIL = 4000


class Refused(Exception):
    """A file cannot be published; the text says why and what to do."""

    def __init__(self, wheel: WheelReport, reason: str) -> None:
        super().__init__(f"{wheel.filename[:300]}: {reason}")
        self.wheel = wheel
        self.reason = reason


class NameTaken(Refused):
    """Another build has published a file of this name since the build of this one began."""


class Ended(Exception):
    """The build has ended in the meantime, so nothing of it is published."""


@dataclass(frozen=True)
class Checked:
    """A wheel that fits the order, and what its builder found it to need of the system."""

    file: VerifiedWheel
    apt: tuple[str, ...]
    unresolved: tuple[str, ...]
    is_stored: bool  # not what another build has published already


def publish(build: Build, report: BuildReport, came: Attached, now: datetime) -> None:
    """Publish all wheels of a build and close it as succeeded, or raise and publish none.

    Raises Refused for a file that does not fit, NameTaken for one that came too late to have its name, and
    Ended when the build is no longer running.  Doing it twice is the same as once: the second time the build
    is no longer running.
    """
    checked = [
        _check_and_store(build, report, number, came.wheel(number), now)
        for number in range(len(report.wheels))
    ]
    with transaction.atomic():
        # Both rows are ours until the transaction ends: the package's, as everybody takes it first, and then
        # the build's.
        build.version.package.mark_changed()
        same = [build_tags.same_before(build, wheel.file) for wheel in checked]
        for wheel, before in zip(checked, same, strict=True):
            if before is None and not wheel.is_stored:
                what = wheel.file.filename
                raise incoming.Busy(f"What {what} came out the same as was just taken away: try again.")
        reason = _say_same([wheel for wheel in same if wheel])
        if not build.close(Build.State.SUCCEEDED, reason, now, report.duration_s, **outcome_of(report)):
            raise Ended
        # Not when it was reported: looking at it and storing it may have taken minutes, in which builds began
        # that found its name free.
        published_at = database_now()
        for wheel, told, before in zip(checked, report.wheels, same, strict=True):
            if before is None:
                _record(build, wheel, told, published_at)
        # Other targets may be served by now, and need no build of their own.
        if build.has_open_siblings():
            build.version.package.request_plan()


def _say_same(wheels: Sequence[Wheel]) -> str:
    """Say which wheels a rebuild has only made once more; "" for none."""
    told = [f"{wheel.filename} of build {wheel.build_id}" for wheel in wheels]
    return f"It came out the same as {', '.join(told)}, so nothing new is published." if told else ""


def expected_of(build: Build) -> Expected:
    """Return what a wheel of this build must be."""
    return Expected(
        package=build.version.package.name,
        version=build.version.number,
        platforms=tuple(build.target.platform_tags),
        supported=build.target.supported_tags(),
        architecture=build.target.architecture,
        build_tag="" if build.build_tag is None else str(build.build_tag),
    )


def _check_and_store(
    build: Build, report: BuildReport, number: int, content: bytes | None, now: datetime
) -> Checked:
    """Return one of a report's wheels as its bytes show it, stored, if it is the one that was ordered."""
    told = report.wheels[number]
    try:
        with _arrived(build, told, content, is_first=number == 0) as file:
            wheel = verify(file, told.filename, expected_of(build), scratch=incoming.scratch())
            if (wheel.size, wheel.sha256) != (told.size, told.sha256):
                raise BadWheel(f"{told.size} bytes were announced and {wheel.size} came, or others.")
            apt = _names(told, told.apt, _APT, "apt packages")
            unresolved = _names(told, told.unresolved, _LIBRARY, "libraries")
            if Wheel.objects.is_taken_down(wheel.filename):
                raise BadWheel("The file of this name was taken down, and nothing gets its name again.")
            # What only comes out once more is published by nobody, and no row would tell of its files.
            if is_new := build_tags.same_before(build, wheel) is None:
                statement = provenance.statement(build, wheel.filename, wheel.sha256, report, now)
                _store(build, wheel, file, statement)
    except incoming.Busy:
        raise
    except (BadWheel, incoming.BadUpload) as error:
        raise Refused(told, str(error)) from error
    return Checked(file=wheel, apt=apt, unresolved=unresolved, is_stored=is_new)


@contextmanager
def _arrived(
    build: Build, told: WheelReport, content: bytes | None, *, is_first: bool
) -> Iterator[BufferedReader | BytesIO]:
    """Give the bytes of a wheel, which came with its report or were uploaded before; raises Refused."""
    if content is not None:
        yield BytesIO(content)
        return
    # A large wheel on a slow disk takes its time, in which the builder only waits for the answer; its report
    # has prolonged the lease for the first.
    if not is_first:
        build.prolong(database_now())
    with ExitStack() as held:
        try:
            file = held.enter_context(incoming.held(build.pk, told.sha256))
        except FileNotFoundError as error:
            raise Refused(told, "it was reported but never uploaded.") from error
        yield file


def _names(told: WheelReport, names: tuple[str, ...], form: re.Pattern[str], what: str) -> tuple[str, ...]:
    """Return the names that a builder gives, if they can be such names."""
    if len(names) > 500 or not all(form.fullmatch(name) for name in names):
        raise Refused(told, f"its list of {what} has what cannot be one.")
    return tuple(sorted(set(names)))


def _store(build: Build, file: VerifiedWheel, content: BinaryIO, statement: bytes) -> None:
    """Put a wheel, the copy of its metadata and the statement of its making where they are looked for.

    Of several tries of one build, the first one's statement stays.
    """
    wheel = Wheel(filename=file.filename, sha256=file.sha256, build=build)
    storage.store(
        {
            wheel.metadata_path: BytesIO(file.metadata),
            wheel.provenance_path: BytesIO(statement),
            wheel.path: content,
        }
    )


def _record(build: Build, checked: Checked, told: WheelReport, published_at: datetime) -> None:
    """Write a wheel's row and those of its dependencies, unless the same bytes are published already."""
    file = checked.file
    # Nobody publishes another file of this package meanwhile, as its row is ours.
    if before := Wheel.objects.published(file.filename):
        build_id, sha256 = before
        if sha256 != file.sha256:
            came_meanwhile = Wheel.objects.filter(filename=file.filename, published_at__gte=build.claimed_at)
            raise (NameTaken if came_meanwhile.exists() else Refused)(
                told,
                f"build {build_id} has published another file of this name, "
                "and the bytes behind a name never change.",
            )
        Wheel.objects.restore(file.filename)
        # It may have been taken down as these bytes were on their way into the storage.
        Wheel.objects.remove_again(file.filename)
        return
    wheel = Wheel(
        build=build,
        package=build.version.package,
        version=build.version,
        filename=file.filename,
        size=file.size,
        sha256=file.sha256,
        metadata_sha256=hashlib.sha256(file.metadata).hexdigest(),
        content_sha256=file.content_sha256,
        requires_python=file.requires_python,
        glibc=file.glibc[:20],
        glibcxx=file.glibcxx[:20],
        is_portable=file.is_portable,
        held_reason=file.held_reason,
        published_at=published_at,
        **_tried(told),
    )
    wheel.publish()
    if not wheel.held_reason:
        wheel.take_over()
    wheel.depend_on(_dependencies(checked))


def _tried(told: WheelReport) -> dict[str, object]:
    """Return what the builder says of a wheel that cannot be seen in its bytes; it is shown, nothing more."""
    trial = told.trial
    detail = trial.detail or ("Imported: " + ", ".join(trial.modules) if trial.modules else "")
    return {
        "reproducible": told.reproducible,
        "trial": trial.outcome if trial.outcome in _TRIALS else "unknown",
        "trial_detail": detail[-_LARGEST_DETAIL:],
    }


def _dependencies(checked: Checked) -> list[tuple[Dependency.Tool, str, str]]:
    """Return what a wheel needs: with what to install it, its name, and all that was said of it."""
    apt = [(Dependency.Tool.APT, text.split(" ")[0], text) for text in checked.apt]
    lib = [(Dependency.Tool.NONE, name, "") for name in checked.unresolved]
    pip = [
        (Dependency.Tool.PIP, canonicalize_name(Requirement(text).name), text)
        for text in checked.file.requires_dist
    ]
    return [*apt, *lib, *pip]
