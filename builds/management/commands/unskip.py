"""`manage.py unskip PACKAGE[==VERSION]`: build again what was skipped."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from builds import skipping
from builds.management import named
from packages.command import TrialCommand


class Command(TrialCommand):
    """Build again what was skipped."""

    help = "Build a package, one version of it, or a package for one target again that was skipped."
    examples = ("unskip lxml", "unskip lxml==5.3.0", "unskip lxml --target trixie-armhf-cp313 --dry-run")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name what was skipped."""
        super().add_arguments(parser)
        parser.add_argument("what", metavar="PACKAGE[==VERSION]")
        parser.add_argument("--target", help="as trixie-armhf-cp313, if it was skipped for this one alone")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Build it again and say so."""
        name, number = named.split(options["what"])
        package = named.package(name)
        version = named.version(package, number) if number else None
        target = named.target(options["target"]) if options["target"] else None
        what = f"{version or package}{f' for {target}' if target else ''}"
        if not skipping.is_skipped(package, version, target):
            raise CommandError(f"{what} is not skipped; the page of {package} says what is.")
        said = f"{what} is built again."
        if self.is_trial(said, options):
            return
        with transaction.atomic():
            skipping.unskip(package, version, target)
            self.conclude(said, "unskip", [version or package])
