"""`manage.py remove_package PACKAGE[==VERSION]`: take away what there is of a package, and perhaps itself."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from builds import removal
from builds.management import named
from builds.models import Wheel
from builds.planning import skipping
from builds.removal import Subject
from packages import audit
from packages.clock import database_now
from packages.command import REFUSED, DestructiveCommand
from packages.wording import were


class Command(DestructiveCommand):
    """Take away what there is of a package."""

    help = (
        "Take away what there is of a package or of one version. With --builds its wheels are withdrawn, what"
        " was tried is forgotten, and all of it is built again. With --skip the same, and it is built no"
        " more. With --yank installers pass its wheels over. With none of these the package itself is"
        " forgotten, and the bytes of its wheels are removed for good."
    )
    examples = (
        'remove_package lxml==5.3.0 --builds --reason "A bad compiler." --yes',
        'remove_package lxml --skip --reason "Its owner asked us to." --dry-run',
        'remove_package lxml==5.3.0 --yank --reason "Crashes on a Pi Zero." --yes',
        "remove_package lxml --yes",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name what to take away, and how."""
        super().add_arguments(parser)
        parser.add_argument("what", metavar="PACKAGE[==VERSION]")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--builds", action="store_const", const="builds", dest="how", help="build it anew")
        how.add_argument("--skip", action="store_const", const="skip", dest="how", help="build it no more")
        how.add_argument(
            "--yank", action="store_const", const="yank", dest="how", help="only yank its wheels"
        )
        parser.add_argument("--reason", default="", help="kept with what is taken away, and shown")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Take it away and say what was done."""
        found = named.subject(options["what"])
        subject = Subject(found.package, found.version)
        how, reason = options["how"], options["reason"]
        if how in ("skip", "yank") and not 0 < len(reason.strip()) <= skipping.LONGEST:
            raise CommandError(
                f"Give a --reason of at most {skipping.LONGEST} characters.", returncode=REFUSED
            )
        if how is None and subject.version:
            raise CommandError(
                f"Upstream has {subject}, so it would come back: say --skip, or --builds to begin anew.",
                returncode=REFUSED,
            )
        if how is None:
            _may_forget(subject)
        if self.may(f"{_DEEDS[how].format(subject)} It has {subject.counted()}.", options):
            self._do(subject, how, reason or f"{audit.who()} removed it.")

    def _do(self, subject: Subject, how: str | None, reason: str) -> None:
        """Do what is wanted, and say what was done."""
        now, rows = database_now(), [subject.version or subject.package]
        if how == "builds":
            with self.noting("remove builds", rows, reason) as told:
                told.said = str(removal.start_over(subject, reason, now))
            self.stdout.write("The rest is queued by the next plan.")
        elif how == "skip":
            with self.noting("remove and skip", rows) as told:
                removal.skip(subject, reason, now)
                told.said = f"{subject} is skipped: {reason}"
        elif how == "yank":
            with self.noting("yank wheels", rows, reason) as told:
                told.said = f"{were(removal.yank(subject, reason), Wheel._meta)} yanked."
        else:
            self._forget(subject, reason)

    def _forget(self, subject: Subject, reason: str) -> None:
        """Forget the package, unless that has become impossible since the question."""
        _may_forget(subject)
        with self.noting("remove", [subject.package], reason) as told:
            is_gone = removal.forget(subject.package, reason[: skipping.LONGEST], database_now())
            told.said = (
                f"{subject} is forgotten."
                if is_gone
                else f"{subject} is skipped, and the bytes of its wheels go as soon as no page lists them."
                " Its row stays, so that nothing gets their names again."
            )


def _may_forget(subject: Subject) -> None:
    """Refuse to forget what the farm would follow again by itself."""
    try:
        removal.may_forget(subject.package)
    except removal.CannotForget as error:
        raise CommandError(str(error)) from error


_DEEDS = {
    "builds": "The wheels of {} are withdrawn, what was tried is forgotten, and all of it is built again.",
    "skip": "The wheels of {} are withdrawn, what was tried is forgotten, and it is built no more.",
    "yank": "The wheels of {} are yanked.",
    None: "{} is forgotten, and the bytes of its wheels are removed for good.",
}
