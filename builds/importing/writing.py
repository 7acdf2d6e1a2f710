"""Writes imported builds, wheels and what they depend on as rows: a batch at a time, each thing once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import F, Max
from django.db.models.functions import Now
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from builds.importing.storing import Taken
from builds.importing.theirs import Made
from builds.models import Build, Builder, Dependency, Size, Target, Wheel
from packages import plain_sql
from packages.batches import batches
from packages.models import Package

# What nobody can be told apart by: the columns of a build that never was in our queue.
_ALIKE: dict[str, object] = {
    "losses": 0,
    "may_return": False,
    "priority": 0,
    "why": "",
    "is_long": False,
    "rebuild_reason": "",
    "ticket_hash": "",
    "rung": "",
    "sandbox": "",
    "size": Size.SMALL.value,
}
_BUILD = (
    *("id", "version_id", "target_id", "attempt", "state", "reason", "failure", "failure_about"),
    *("released_at", "builder_id", "queued_at", "claimed_at", "finished_at", "duration_s"),
)
_WHEEL = (
    *("build_id", "package_id", "version_id", "filename", "size", "sha256", "metadata_sha256"),
    *("content_sha256", "requires_python", "glibc", "glibcxx", "is_portable", "trial", "trial_detail"),
    *("held_reason", "published_at", "yanked", "yanked_reason", "withdrawn_reason"),
)


@dataclass(frozen=True)
class Ending:
    """How a build ended, as our rows say it."""

    state: str
    reason: str
    failure: str = ""
    about: str = ""


@dataclass(frozen=True)
class Known:
    """A version of ours, by its keys."""

    version: int
    package: int


def versions_of(builds: Collection[Made]) -> dict[tuple[str, str], Known]:
    """Return our versions of builds, by the names of the package and the version."""
    found: dict[tuple[str, str], Known] = {}
    for some in batches(sorted({(made.package, made.version) for made in builds})):
        sql = f"""
            SELECT package.name, version.number, version.id, package.id
            FROM (VALUES {", ".join(["(%s, %s)"] * len(some))}) AS wanted
            JOIN packages_package package ON package.name = wanted.column1
            JOIN packages_version version
                ON version.package_id = package.id AND version.number = wanted.column2
        """  # noqa: S608 (the places are all that is formatted)
        for name, number, version, package in plain_sql.rows(sql, [value for pair in some for value in pair]):
            found[name, number] = Known(version, package)
    return found


def write_builds(
    builds: Sequence[tuple[Made, Known, Target, Builder, Ending]],
) -> None:
    """Write builds that are not there, with their own numbers, after those of the same version and target."""
    attempts = _attempts({known.version for _, known, _, _, _ in builds})
    rows = []
    for made, known, target, builder, ending in sorted(builds, key=lambda each: each[0].number):
        pair = known.version, target.pk
        attempts[pair] = attempts.get(pair, 0) + 1
        told = (
            *(made.number, *pair, attempts[pair]),
            *(ending.state, ending.reason, ending.failure, ending.about),
            *(made.released_at, builder.pk, made.began_at, made.began_at, made.ended_at, made.duration_s),
        )
        rows.append((*told, *_ALIKE.values()))
    plain_sql.fill(Build, (*_BUILD, *_ALIKE), rows)


def correct_endings(endings: Mapping[int, Ending]) -> None:
    """Say of builds that are there how they ended, as more of them has come; nobody else says it anew."""
    ended = Build.objects.filter(state__in=(Build.State.SUCCEEDED, Build.State.FAILED))
    for number, ending in sorted(endings.items()):
        ended.filter(pk=number).update(
            state=ending.state, reason=ending.reason, failure=ending.failure, failure_about=ending.about
        )


def _attempts(versions: Iterable[int]) -> dict[tuple[int, int], int]:
    """Return the last attempt at each of these versions for each target."""
    found: dict[tuple[int, int], int] = {}
    for some in batches(versions):
        rows = Build.objects.filter(version__in=some).order_by().values_list("version", "target")
        found.update(
            {(version, target): last for version, target, last in rows.annotate(Max("attempt")).iterator()}
        )
    return found


def published(filenames: Collection[str]) -> dict[str, str]:
    """Return the sha256 of those of these names that there are wheels of."""
    found: dict[str, str] = {}
    for some in batches(sorted(filenames)):
        found.update(Wheel.objects.filter(filename__in=some).values_list("filename", "sha256"))
    return found


def write_wheels(wheels: Sequence[tuple[Made, Known, Taken]]) -> None:
    """Write wheels that are not there; the index shows them from the end of the transaction on."""
    plain_sql.fill(
        Wheel,
        _WHEEL,
        (
            (
                *(made.number, known.package, known.version, taken.file.filename, taken.file.size),
                *(taken.file.sha256, taken.metadata_sha256, taken.contents.content_sha256),
                *(taken.contents.requires_python, taken.contents.glibc[:20], taken.contents.glibcxx[:20]),
                *(taken.contents.is_portable, "unknown", "", "", made.ended_at, False, "", ""),
            )
            for made, known, taken in wheels
        ),
    )


def write_dependencies(needs: Mapping[str, Collection[tuple[str, str, str]]]) -> int:
    """Write what wheels need, by their names: tool, name and requirement; return how many rows that are."""
    keys: dict[str, int] = {}
    for some in batches(sorted(needs)):
        keys.update(Wheel.objects.filter(filename__in=some).values_list("filename", "pk"))
    rows = [(keys[name], *need) for name, its in needs.items() for need in sorted(set(its))]
    plain_sql.fill(Dependency, ("wheel_id", "tool", "name", "requirement"), rows)
    return len(rows)


def requirements(taken: Taken) -> list[tuple[str, str, str]]:
    """Return what pip needs for a wheel, as its METADATA has it."""
    return [
        (Dependency.Tool.PIP.value, canonicalize_name(Requirement(text).name), text)
        for text in taken.contents.requires_dist
    ]


def mark_changed(packages: Collection[int]) -> None:
    """Have the pages of packages written, and a plan made that sees what is there by now."""
    for some in batches(sorted(packages)):
        Package.objects.filter(pk__in=some).update(
            revision=F("revision") + 1, changed_at=Now(), plan_needed=True
        )
