"""`manage.py sync_pypi [--all | NAME ...]`: look packages up upstream now, without waiting for a worker."""

from argparse import ArgumentParser
from typing import Any

from django import db
from django.conf import settings
from django.core.management.base import CommandError
from packaging.utils import InvalidName, canonicalize_name

from packages import bootstrap, journal, sync
from packages.clock import database_now
from packages.command import REFUSED, TrialCommand
from packages.models import Package
from packages.progress_bar import ProgressBar
from packages.pypi import UpstreamUnavailable
from packages.wording import are, many, were


class Command(TrialCommand):
    """Look packages up upstream now."""

    help = "Look packages up upstream now: those named, all that this farm follows, or all that there are."
    examples = (
        "sync_pypi lxml numpy",
        "sync_pypi",
        "sync_pypi --all --processes 2",
        "sync_pypi --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument("names", nargs="*", metavar="NAME", help="without any, all that are followed")
        parser.add_argument(
            "--all",
            action="store_true",
            dest="everything",
            help="all that upstream has and we lack or know an older state of; can be stopped and goes on",
        )
        parser.add_argument(
            "--processes",
            type=int,
            metavar="N",
            help="for --all: how many share the work; without it one for each core (SQLite: one)",
        )

    def handle(
        self, *args: object, names: list[str], everything: bool, processes: int | None, **options: Any
    ) -> None:
        """Look the packages up, and fail if one of them could not be."""
        if everything and names:
            raise CommandError("Name packages, or say --all.", returncode=REFUSED)
        if processes is not None and processes < 1:
            raise CommandError("--processes is 1 or more.", returncode=REFUSED)
        wanted = [] if everything else _canonical(names) if names else _followed()
        if self.is_trial(_say(wanted), options):
            return
        if everything:
            self._look_at_everything(processes or bootstrap.processes())
        else:
            self._look_at(wanted)

    def _look_at(self, wanted: list[str]) -> None:
        """Look some packages up, one by one."""
        failures = []
        with ProgressBar(len(wanted)) as bar:
            for name in wanted:
                bar.show(name)
                if failure := _failure(name):
                    failures.append(failure)
                bar.advance(1)
        if failures:
            raise CommandError("\n".join([f"{len(failures)} of {len(wanted)} failed.", *failures]))
        self.stdout.write(f"{are(len(wanted), Package._meta)} up to date with upstream.")

    def _look_at_everything(self, processes: int) -> None:
        """Look all of upstream up."""
        try:
            result = bootstrap.run(sync.upstream(), settings.PIWHEELS_FETCHERS, processes)
        except UpstreamUnavailable as error:
            raise CommandError(f"{error} Try again later; what was looked up stays.") from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. Say it again, and it goes on from here.") from None
        settled = were(result.settled, Package._meta)
        self.stdout.write(f"{settled} looked up; {result.waiting} more will be tried again.")


def _say(wanted: list[str]) -> str:
    """Say what is looked up; none are all."""
    if wanted:
        return f"{are(len(wanted), Package._meta)} looked up."
    known = many(Package.objects.count(), Package._meta)
    return f"All that upstream has is looked up, but what of our {known} is as its list says."


def _failure(name: str) -> str:
    """Look a package up, and return what went wrong; "" if nothing did."""
    try:
        if sync.look_up(sync.upstream(), name, now=database_now()) is None:
            return f"{name}: upstream has no such package; look at the spelling."
    except UpstreamUnavailable as error:
        return f"{name}: {error} Try again later."
    except db.Error as error:
        return f"{name}: its rows cannot be written: {error}"
    return ""


def _canonical(names: list[str]) -> list[str]:
    """Return the canonical forms of names."""
    try:
        return [canonicalize_name(name, validate=True) for name in names]
    except InvalidName as error:
        raise CommandError(f"{error} Write it as pip would take it.", returncode=REFUSED) from error


def _followed() -> list[str]:
    """Return the names of the packages that this farm follows."""
    watched = _canonical([name for name in settings.PIWHEELS_WATCH if name != journal.ALL])
    names = sorted({*watched, *Package.objects.values_list("name", flat=True)})
    if not names:
        raise CommandError(
            "Nothing is followed yet: name packages here, in PIWHEELS_WATCH or to add_package."
        )
    return names
