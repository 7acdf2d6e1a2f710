"""`manage.py unskip PACKAGE[==VERSION]`: build again what was skipped."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from builds.management import named
from builds.planning import skipping
from packages.command import TrialCommand


class Command(TrialCommand):
    """Build again what was skipped."""

    help = "Build a package, one version of it, or a package for one target again that was skipped."
    examples = (
        "unskip lxml",
        'unskip lxml==5.3.0 --reason "The compiler was mended."',
        "unskip lxml --target trixie-armhf-cp313 --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name what was skipped."""
        super().add_arguments(parser)
        parser.add_argument("what", metavar="PACKAGE[==VERSION]")
        parser.add_argument("--target", help="as trixie-armhf-cp313, if it was skipped for this one alone")
        parser.add_argument("--reason", default="", help="as the log of who did what has it")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Build it again and say so."""
        subject = named.subject(options["what"], options["target"])
        if not skipping.is_skipped(*subject):
            raise CommandError(f"{subject} is not skipped; the page of {subject.package} says what is.")
        said = f"{subject} is built again."
        if self.is_trial(said, options):
            return
        with transaction.atomic():
            skipping.unskip(*subject)
            self.conclude(said, "unskip", [subject.version or subject.package], options["reason"])
