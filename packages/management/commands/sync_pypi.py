"""`manage.py sync_pypi [NAME ...]`: look packages up upstream now, without waiting for a worker."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence

from django import db
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from packaging.utils import InvalidName, canonicalize_name

from packages import journal, sync
from packages.models import Package
from packages.pypi import UpstreamUnavailable


class Command(BaseCommand):
    """Look packages up upstream now."""

    help = "Look packages up upstream now: those named, or all that this farm follows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        parser.add_argument("names", nargs="*", metavar="NAME", help="without any, all that are followed")

    def handle(self, *args: object, names: list[str], **options: object) -> None:
        """Look the packages up, and fail if one of them could not be."""
        wanted = _canonical(names) if names else _followed()
        failures = []
        for name in _with_progress(wanted):
            try:
                if sync.look_up(sync.upstream(), name, now=timezone.now()) is None:
                    failures.append(f"{name}: upstream has no such package; look at the spelling.")
            except UpstreamUnavailable as error:
                failures.append(f"{name}: {error} Try again later.")
            except db.Error as error:
                failures.append(f"{name}: its rows cannot be written: {error}")
        if failures:
            raise CommandError("\n".join([f"{len(failures)} of {len(wanted)} failed.", *failures]))
        self.stdout.write(f"{len(wanted)} packages are as upstream has them.")


def _canonical(names: list[str]) -> list[str]:
    """Return the canonical forms of names."""
    try:
        return [canonicalize_name(name, validate=True) for name in names]
    except InvalidName as error:
        raise CommandError(f"{error} Write it as pip would take it.") from error


def _followed() -> list[str]:
    """Return the names of the packages that this farm follows."""
    watched = _canonical([name for name in settings.PIWHEELS_WATCH if name != journal.ALL])
    names = sorted({*watched, *Package.objects.values_list("name", flat=True)})
    if not names:
        raise CommandError(
            "Nothing is followed yet: name packages here, in PIWHEELS_WATCH or to add_package."
        )
    return names


def _with_progress(names: Sequence[str]) -> Iterator[str]:
    """Return the names one by one, and show on a terminal how far we are."""
    for number, name in enumerate(names, 1):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{number}/{len(names)} {name}")
            sys.stderr.flush()
        yield name
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
