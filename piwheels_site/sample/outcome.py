"""Writes the sample's history: rows, and the files that they tell of."""

import gzip
from collections.abc import Iterable
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from random import Random

from django.core.files import File
from django.core.files.storage import default_storage
from packaging.utils import canonicalize_name

from builder.contract import CONTRACT, BuildReport, Fetched
from builds import provenance
from builds.files import stored
from builds.files.storage import WholeFileStorage
from builds.models import Build, Dependency, Refusal, Wheel
from piwheels_site.sample.history import Attempt, Brought, row_of
from piwheels_site.sample.wheels import MadeWheel, make

_HELD = "It puts sample.pth among the packages, which runs at each start of Python."
_REFUSED = "sample.so is for x86-64, not for armhf: build it on the target."


def write(attempts: list[Attempt], seed: int, now: datetime) -> None:
    """Write builds, wheels, what these need, logs and files."""
    chance = Random(f"{seed}/outcome")
    _distinguish(attempts, chance)
    attempts += _rebuilt(attempts, now, chance)
    # What comes last has the highest key, as on a farm that is at work.
    attempts.sort(key=lambda attempt: _ended_at(attempt.build))
    Build.objects.bulk_create([attempt.build for attempt in attempts], batch_size=500)
    wheels = [attempt.brought.wheel for attempt in attempts if attempt.brought]
    for wheel in wheels:
        # Its key was not known when the row was made.
        wheel.build = wheel.build
    Wheel.objects.bulk_create(wheels, batch_size=200)
    Dependency.objects.bulk_create(
        [need for attempt in attempts if attempt.brought for need in _needs(attempt, attempt.brought.wheel)],
        batch_size=500,
    )
    _turn_away(attempts)
    _turn_over(wheels, now)
    _store(attempts)
    _state(wheels, now)


def _distinguish(attempts: list[Attempt], chance: Random) -> None:
    """Have some wheels be held and some refused."""
    native = [
        (attempt, attempt.brought)
        for attempt in attempts
        if attempt.brought and not attempt.project.entry.is_pure
    ]
    for number, (attempt, brought) in enumerate(chance.sample(native, min(6, len(native)))):
        if number < 2:
            brought.wheel.held_reason = _HELD
        else:
            attempt.refused, attempt.brought = brought.wheel.filename, None
            attempt.build.state, attempt.build.failure = Build.State.FAILED, "refused"
            attempt.build.reason = f"The wheel was refused: {attempt.refused}: {_REFUSED}"


def _rebuilt(attempts: list[Attempt], now: datetime, chance: Random) -> list[Attempt]:
    """Return second builds of some wheels, with a build tag, as an operator wanted them."""
    lately = [(attempt, attempt.brought.made) for attempt in attempts[-400:] if attempt.brought]
    return [
        _again(attempt, made, now - timedelta(minutes=chance.uniform(5, 300)), chance)
        for attempt, made in chance.sample(lately, min(5, len(lately)))
    ]


def _again(before: Attempt, first: MadeWheel, finished_at: datetime, chance: Random) -> Attempt:
    """Return another build of what there is a wheel of, and its wheel."""
    old = before.build
    entry, package = before.project.entry, before.project.package
    build = Build(
        version=old.version,
        target=old.target,
        attempt=old.attempt + 1,
        state=Build.State.SUCCEEDED,
        rebuild_reason="admin: built with the newest compiler",
        why="An operator wants it first. admin: built with the newest compiler",
        build_tag=1,
        **{
            name: getattr(old, name)
            for name in ("expected_s", "released_at", "source", "builder", "duration_s", "cpu_s")
        },
        queued_at=finished_at - timedelta(seconds=(old.duration_s or 0) + 300),
        claimed_at=finished_at - timedelta(seconds=(old.duration_s or 0) + 3),
        finished_at=finished_at,
        peak_memory_bytes=old.peak_memory_bytes,
        rung="current",
        sandbox="full",
        size=old.size,
    )
    _, _, tag = first.filename.removesuffix(".whl").split("-", 2)
    made = make(
        package.name, old.version.canonical, tag, summary=entry.summary, requires=entry.needs, build_tag=1
    )
    return Attempt(before.project, build, before.log, Brought(made, row_of(made, build, entry, chance)))


def _needs(attempt: Attempt, wheel: Wheel) -> Iterable[Dependency]:
    """Give what a wheel needs."""
    entry = attempt.project.entry
    is_new = attempt.build.target.os_release == "trixie"
    for apt in entry.apt if not entry.is_pure else ():
        # The suffix of the change to 64-bit times came with trixie.
        name = apt if is_new else apt.replace("t64", "")
        yield Dependency(wheel=wheel, tool=Dependency.Tool.APT, name=name, requirement=f"{name} (>= 1.0)")
    for need in entry.needs:
        name = canonicalize_name(need)
        yield Dependency(wheel=wheel, tool=Dependency.Tool.PIP, name=name, requirement=need)
    if entry.name == "tflite-runtime":
        yield Dependency(wheel=wheel, tool=Dependency.Tool.NONE, name="libedgetpu.so.1")


def _turn_away(attempts: list[Attempt]) -> None:
    """Write what was refused."""
    Refusal.objects.bulk_create(
        Refusal(build=attempt.build, filename=attempt.refused, reason=_REFUSED, at=_ended_at(attempt.build))
        for attempt in attempts
        if attempt.refused
    )


def _ended_at(build: Build) -> datetime:
    return build.finished_at or build.queued_at


def _turn_over(wheels: list[Wheel], now: datetime) -> None:
    """Have rebuilds take the place of what was before them, and some wheels be yanked or gone."""
    for wheel in wheels:
        if wheel.build_tag():
            wheel.take_over()
    plain = [wheel for wheel in wheels if not wheel.held_reason and not wheel.yanked][:9:3]
    for wheel, deed in zip(plain, ("yank", "withdraw", "take_down"), strict=False):
        if deed == "yank":
            wheel.yank("It was built without NEON and is slow.")
        elif deed == "withdraw":
            wheel.withdraw(now - timedelta(days=2), "It crashes on a Pi Zero.")
        else:
            wheel.take_down(now - timedelta(days=3), "Its author has asked for it.")
            wheel.note_removed(now - timedelta(days=3))


def _store(attempts: list[Attempt]) -> None:
    """Store wheels, their metadata, and logs."""
    for attempt in attempts:
        if attempt.log:
            put(stored.log_name(attempt.build.pk), gzip.compress(attempt.log.encode(), 1, mtime=0))
        if attempt.brought and attempt.brought.wheel.taken_down_at is None:
            put(attempt.brought.wheel.metadata_path, attempt.brought.made.metadata)
            put(attempt.brought.wheel.path, attempt.brought.made.content)


def _state(wheels: list[Wheel], now: datetime) -> None:
    """Store what each package's last wheel was made of."""
    for wheel in {wheel.package_id: wheel for wheel in wheels}.values():
        build = wheel.build
        put(
            wheel.provenance_path,
            provenance.statement(build, wheel.filename, wheel.sha256, _report(build), now),
        )


def _report(build: Build) -> BuildReport:
    """Return what the builder of a build that succeeded would have said."""
    compiler = "gcc 14.2.0" if build.target.os_release == "trixie" else "gcc 12.2.0"
    return BuildReport(
        contract=CONTRACT,
        succeeded=True,
        reason="",
        duration_s=build.duration_s or 0.0,
        wheels=(),
        cpu_s=build.cpu_s or 0.0,
        peak_memory_bytes=build.peak_memory_bytes or 0,
        rung=build.rung,
        sandbox=build.sandbox,
        made_with={
            "os": build.target.os_name,
            "python": build.target.python,
            "pip": "26.3",
            "compiler": compiler,
        },
        environment={"MAX_JOBS": "4"},
        fetched=(Fetched("setuptools-81.0.0-py3-none-any.whl", "", "ab" * 32, 1_062_085),),
    )


def put(name: str, content: bytes) -> None:
    """Store a file.

    A folder gets it without waiting for the disk, 5 ms a file: what a power cut takes can be made again.
    """
    if isinstance(default_storage, WholeFileStorage):
        path = Path(default_storage.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    else:
        default_storage.save(name, File(BytesIO(content)))
