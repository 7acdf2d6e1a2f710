"""Takes over packages, and the spellings of their names."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import transaction
from packaging.utils import InvalidName, canonicalize_name

from packages.importing.original import Original, Row, epoch
from packages.importing.progress import Batch, Progress
from packages.models import NEVER, Alias, Package

BATCH = 500
# What its own sync writes into `skip` while it takes a package away.
DELETED = "deleted"

_PAGE = f"""
    SELECT package, skip, description, (
        SELECT json_agg(json_build_array(name, {epoch("seen")}) ORDER BY seen DESC, name)
        FROM package_names WHERE package_names.package = packages.package
    )
    FROM packages WHERE package > %s ORDER BY package LIMIT {BATCH}
"""  # noqa: S608 (of constants)


class Named(NamedTuple):
    """A package of theirs."""

    name: str
    skip: str
    summary: str
    spellings: list[tuple[str, datetime]]  # the last seen first


def refusal(name: str, skip: str) -> str:
    """Return why a package is not taken; "" if it is."""
    try:
        is_canonical = canonicalize_name(name, validate=True) == name
    except InvalidName:
        is_canonical = False
    if not is_canonical or len(name) > 200:
        return "its name is none that an index can have"
    return "it is being deleted there" if skip == DELETED else ""


def take(original: Original, progress: Progress) -> None:
    """Take over all packages; those that we have get what they lack."""
    step = progress.step("packages")
    if step.is_finished:
        step.begin_again("packages", "names")
    with progress.bar(original.number("SELECT count(*) FROM packages")) as bar:
        bar.show("packages")
        while rows := original.page(_PAGE, [step.cursor[0] if step.cursor else ""]):
            batch = Batch()
            found = _judged([_named(row) for row in rows], batch)
            with transaction.atomic():
                if not progress.is_dry:
                    _write(found)
                step.note(batch, [rows[-1][0]])
            bar.advance(len(rows))
    step.finish()


def _named(row: Row) -> Named:
    name, skip, summary, spellings = row
    seen = [(spelling, datetime.fromtimestamp(at or 0, UTC)) for spelling, at in spellings or ()]
    return Named(name, skip or "", summary or "", seen)


def _judged(packages: Sequence[Named], batch: Batch) -> list[Named]:
    """Return what is taken of these packages, and note of all what becomes of them."""
    found = []
    for package in packages:
        batch.read("packages")
        batch.read("names", len(package.spellings))
        if reason := refusal(package.name, package.skip):
            batch.refuse("packages", package.name, reason)
            for spelling, _ in package.spellings:
                batch.refuse("names", spelling, "its package is not taken")
            continue
        good = [each for each in package.spellings if canonicalize_name(each[0]) == package.name]
        for spelling in {each[0] for each in package.spellings}.difference(each[0] for each in good):
            batch.refuse("names", spelling, "it is no spelling of its package", detail=package.name)
        batch.wrote("packages", package.name)
        batch.wrote("names", count=len(good))
        found.append(package._replace(spellings=good))
    return found


def _write(found: Sequence[Named]) -> None:
    """Write packages and spellings that are not there, and skips where none was said."""
    names = [package.name for package in found]
    known = {package.name: package for package in Package.objects.filter(name__in=names)}
    new = [_new(package) for package in found if package.name not in known]
    Package.objects.bulk_create(new)
    for package in found:
        before = known.get(package.name)
        if before and package.skip and not before.skip_reason:
            before.skip(package.skip)
    keys = dict(Package.objects.filter(name__in=names).values_list("name", "pk"))
    Alias.objects.bulk_create(
        [
            Alias(package_id=keys[package.name], name=spelling, seen_at=seen_at)
            for package in found
            for spelling, seen_at in package.spellings
        ],
        batch_size=300,
        ignore_conflicts=True,
    )


def _new(package: Named) -> Package:
    """Return a row for a package; it is looked up upstream as one that nobody ever looked up."""
    spelled = next((spelling for spelling, _ in package.spellings), package.name)
    return Package(
        name=package.name,
        display_name=spelled,
        summary=package.summary[:300],
        skip_reason=package.skip[:200],
        fetched_at=NEVER,
        revision=1,
    )
