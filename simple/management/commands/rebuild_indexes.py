"""`manage.py rebuild_indexes`: write the published index anew."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError
from packaging.utils import InvalidName, canonicalize_name

from packages.clock import database_now
from packages.command import REFUSED, TrialCommand
from packages.models import Package
from packages.wording import are, many, were
from simple import rebuilding


class Command(TrialCommand):
    """Write pages and links anew."""

    help = "Write pages and links of packages anew, of all if none is named, while readers go on."
    examples = (
        "rebuild_indexes lxml numpy",
        "rebuild_indexes",
        "rebuild_indexes --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument("names", nargs="*", metavar="NAME")

    def handle(self, *args: object, names: Sequence[str], **options: Any) -> None:  # Any: Django's options
        """Rebuild, and say what was done."""
        try:
            canonical = [canonicalize_name(name, validate=True) for name in names]
        except InvalidName as error:
            text = f"{error} Give names of packages, as they are in the index."
            raise CommandError(text, returncode=REFUSED) from error
        if self.is_trial(f"{are(rebuilding.count(canonical), Package._meta)} written anew.", options):
            return
        done = rebuilding.rebuild(canonical, database_now())
        written = were(done.packages, Package._meta)
        self.stdout.write(f"{written} written anew, {done.strangers} folders of no package removed.")
        if done.failed:
            failed = many(done.failed, Package._meta)
            raise CommandError(f"{failed} could not be written: the log says why; each minute is a try.")
