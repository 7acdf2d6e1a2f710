"""`manage.py skip PACKAGE[==VERSION] --reason TEXT`: build something no more."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from builds.management import named
from builds.models import Build
from builds.planning import skipping
from packages import audit
from packages.command import REFUSED, DestructiveCommand
from packages.wording import are


class Command(DestructiveCommand):
    """Build something no more."""

    help = (
        "Build a package, one version of it, or a package for one target no more, for a reason that everybody"
        " reads on its page. Wheels that are there stay; builds that wait or go on are dropped. `unskip`"
        " takes it back."
    )
    examples = (
        'skip lxml --reason "Its build never ends." --dry-run',
        'skip lxml==5.3.0 --reason "Broken source." --yes',
        'skip lxml --target trixie-armhf-cp313 --reason "Takes 9 GB." --yes',
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name what to skip, for what and why."""
        super().add_arguments(parser)
        parser.add_argument("what", metavar="PACKAGE[==VERSION]")
        parser.add_argument("--target", help="as trixie-armhf-cp313; for all without it")
        parser.add_argument("--reason", required=True, help="as people read it on the package's page")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Skip it and say so."""
        subject = named.subject(options["what"], options["target"])
        try:
            skipping.check(subject.version, subject.target, options["reason"])
        except skipping.CannotSkip as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        dropped = are(skipping.open_builds(*subject), Build._meta, "open ")
        if not self.may(f"{subject} is built no more, and {dropped} dropped.", options):
            return
        rows = [subject.version or subject.package]
        with transaction.atomic():
            skipping.skip(*subject, reason=options["reason"], by=audit.who())
            self.conclude(f"{subject} is skipped: {options['reason']}", "skip", rows)
