"""`manage.py import_piwheels DSN FOLDER`: take over a farm of piwheels.org's own software."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError
from django.db import Error, connection

from builds.files import moving
from packages import audit
from packages.clock import database_now
from packages.command import TrialCommand
from packages.importing.original import NotReadable, Original
from packages.models import Package
from simple.importing.report import Report
from simple.importing.run import Wishes, run


def _pair(text: str) -> tuple[str, str]:
    """Return the two sides of A=B, of which the second is a path or a key."""
    first, _, second = text.rpartition("=")
    if not first or not second:
        raise ArgumentTypeError(f"{text} is not A=B.")
    return first, second


def _jobs(text: str) -> int:
    """Return a number of files to read at a time."""
    if not (text.isdecimal() and 1 <= int(text) <= 64):
        raise ArgumentTypeError(f"{text} is not a number from 1 to 64.")
    return int(text)


def _try_to_write(report: Path | None) -> None:
    """Refuse a report that could not be written, before hours of work; what is in the file stays for now."""
    try:
        if report:
            report.open("a").close()
    except OSError as error:
        raise CommandError(
            f"The report cannot be written: {error} Nothing was done.", returncode=2
        ) from error


@contextmanager
def _alone() -> Iterator[None]:
    """Keep a second import out, which would add the same downloads; this one's may have lost its terminal."""
    if connection.vendor != "postgresql":
        # Two would wait for each other's transactions, and nobody has such a farm on SQLite.
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('import_piwheels'))")
        if not cursor.fetchone()[0]:
            raise CommandError(
                "An import goes on: wait for it, or end its process. Nothing was done.", returncode=2
            )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext('import_piwheels'))")


def _noting(*, is_dry: bool) -> AbstractContextManager[audit.Told]:
    """Note who takes a farm over; to try it is no deed."""
    return nullcontext(audit.Told()) if is_dry else audit.noting_command("import farm", [], model=Package)


class Command(TrialCommand):
    """Take over a farm of piwheels.org's own software."""

    help = (
        "Read the PostgreSQL database of piwheels.org's own software and its folder of wheels and logs, and "
        "take over packages, spellings, versions, skips, builds, wheels, what they need, logs, downloads "
        "and what was looked for in vain. Neither the database nor the folder is written to. It can be "
        "stopped at any time: said again, it goes on where it was, takes what is new, and does nothing twice."
    )

    examples = (
        "import_piwheels postgresql://piwheels@old-host/piwheels /srv/piwheels --dry-run",
        "import_piwheels postgresql://piwheels@old-host/piwheels /srv/piwheels --report import.json",
        "import_piwheels dbname=piwheels /mnt/old --archive https://far.example.org/simple=/mnt/far --again",
    )
    statuses: ClassVar[dict[int, str]] = {
        0: "all was taken",
        1: 'something was refused: the report says what and why, the admin has each under "Import refusals"',
        2: "it could not be begun, or not to its end",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument(
            "dsn",
            metavar="DSN",
            help="the database, as libpq has it; leave the password to ~/.pgpass or PGPASSWORD, as others can"
            " see the arguments of a program",
        )
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="the one that has simple/ and logs/")
        parser.add_argument(
            "--again",
            action="store_true",
            help="try again what was refused before, as its reason may be gone",
        )
        parser.add_argument(
            "--copy", action="store_true", help="copy files, also where a link on the same disk would do"
        )
        parser.add_argument(
            "--archive",
            action="append",
            type=_pair,
            default=[],
            metavar="URL=FOLDER",
            help="where the files can be read that the database says are at that address, which mostly ends"
            " in /simple; the folder has one for each package",
        )
        parser.add_argument(
            "--target",
            action="append",
            type=_pair,
            default=[],
            metavar="ABI=KEY",
            help="for which target of ours an ABI of theirs is; those of Raspberry Pi OS are known",
        )
        parser.add_argument(
            "--jobs", type=_jobs, default=0, metavar="N", help="files to read at a time (one for each core)"
        )
        parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON, too")
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="print the report as JSON, and nothing else"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Import, and say what came of it."""
        wishes = Wishes(
            folder=options["folder"],
            archives={url.rstrip("/"): Path(folder) for url, folder in options["archive"]},
            targets=dict(options["target"]),
            by_link=not options["copy"],
            is_dry=options["dry_run"],
            is_again=options["again"],
            jobs=options["jobs"],
        )
        again = "Say it again, and it goes on from here."
        _try_to_write(options["report"])
        faults: tuple[type[Exception], ...] = (Error, *moving.faults())
        try:
            if not wishes.is_dry:
                moving.require()
            with (
                _alone(),
                Original(options["dsn"]) as original,
                _noting(is_dry=wishes.is_dry) as told,
            ):
                report = run(original, wishes, database_now())
                told.said = f"{options['folder']} was taken over; {report.refused} things were refused."
        except KeyboardInterrupt:
            raise CommandError(f"Stopped. {again}", returncode=2) from None
        except NotReadable as error:
            raise CommandError(str(error), returncode=2) from error
        except faults as error:
            raise CommandError(f"{error} {again}", returncode=2) from error
        self._tell(report, options["report"], as_json=options["as_json"])

    def _tell(self, report: Report, file: Path | None, *, as_json: bool) -> None:
        """Print the report, write it, and fail if something was refused."""
        for line in [report.to_json()] if as_json else report.lines():
            self.stdout.write(line)
        try:
            if file:
                file.write_text(report.to_json() + "\n")
        except OSError as error:
            raise CommandError(
                f"All was done, but the report could not be written: {error}", returncode=2
            ) from error
        if report.refused:
            raise CommandError(f"{report.refused} things were refused, as the report says.", returncode=1)
