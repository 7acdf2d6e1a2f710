"""`manage.py check_packages [NAME...]`: compare the published index with the rows."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

from django.core.management.base import CommandError
from packaging.utils import InvalidName, canonicalize_name

from builds.models import Wheel
from packages import audit
from packages.clock import database_now
from packages.command import FAULT, REFUSED, DestructiveCommand
from packages.models import Package
from packages.progress_bar import ProgressBar
from packages.wording import are, many, were
from simple import auditing, rebuilding, roots
from simple.auditing import Fault
from simple.models import Shown


class Command(DestructiveCommand):
    """Compare the published index with the rows."""

    help = (
        "Compare the published index with the rows: each package has its pages and links, no others, and each"
        " page says what the rows say. What belongs to nothing is named, too. With --fix it asks, and has all"
        " that was found written anew. What is stored is for `check_storage` to compare."
    )
    examples = ("check_packages", "check_packages lxml numpy --hashes", "check_packages --fix --yes")
    statuses = {0: "all is well", 1: "something was found, also if it was mended"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument("names", nargs="*", metavar="NAME", help="a package; without any, all")
        parser.add_argument("--hashes", action="store_true", help="read all files, and compare their sha256")
        parser.add_argument("--fix", action="store_true", help="write anew what is not as it must be")

    def handle(self, *args: Any, names: list[str], **options: Any) -> None:  # Any: Django's signature
        """Check, mend if that is wanted, and fail if something was found."""
        try:
            canonical = [canonicalize_name(name, validate=True) for name in names]
        except InvalidName as error:
            raise CommandError(
                f"{error} Give names of packages, as they are in the index.", returncode=REFUSED
            ) from error
        faults, seen = self._check(canonical, reads=options["hashes"])
        said = f"{many(seen['packages'], Package._meta)} and {many(seen['files'], Wheel._meta)} were compared"
        if not faults:
            self.stdout.write(f"{said}: all is well.")
            return
        if options["fix"]:
            self._fix(faults, options)
        counts = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(f.kind for f in faults).items()))
        raise CommandError(f"{said}: {counts}.", returncode=FAULT)

    def _check(self, names: Sequence[str], *, reads: bool) -> tuple[list[Fault], Counter[str]]:
        """Print what is found; return it, and how much was seen."""
        faults: list[Fault] = []
        seen: Counter[str] = Counter()
        with ProgressBar(len(names) or Shown.objects.count()) as bar:
            steps = auditing.of_packages(names, reads=reads)
            for step in steps if names else chain(steps, auditing.of_tree()):
                seen.update(packages=step.packages, files=step.files)
                for fault in step.faults:
                    self.stdout.write(str(fault))
                faults += step.faults
                bar.show(f"{len(faults)} found")
                bar.advance(step.packages)
        return faults, seen

    def _fix(self, faults: list[Fault], options: dict[str, Any]) -> None:
        """Have written anew what was found."""
        names = sorted({fault.name for fault in faults if fault.name})
        written = are(len(names), Package._meta)
        if not self.may(f"{written} written anew, and what belongs to none goes.", options):
            return
        rows = list(Package.objects.filter(name__in=names))
        with audit.noting_command("fix index", rows, model=Package) as told:
            failed = rebuilding.rebuild(names, database_now()).failed if names else 0
            if not names:
                roots.publish(database_now(), at_once=True)
            told.said = f"{were(len(names) - failed, Package._meta)} written anew."
            if failed:
                told.said += f" {many(failed, Package._meta)} could not be: the log says why, and each minute"
                told.said += " is a try."
        self.stdout.write(told.said)
        if failed:
            raise CommandError("Not all of it is mended.")
