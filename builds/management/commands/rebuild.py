"""`manage.py rebuild`: build again what there are wheels of."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from builds.management import named
from builds.models import Build
from builds.planning import rebuilding
from packages import audit
from packages.clock import database_now
from packages.command import DestructiveCommand
from packages.wording import are


class Command(DestructiveCommand):
    """Build wheels again."""

    help = (
        "Builds again, before all that nobody asked for, what there are wheels of: all of a package, or one "
        "version. What comes out different gets a build tag and takes the place of the wheel before, which "
        "is yanked and stays for lock files. Without a version it asks first."
    )
    examples = (
        'rebuild lxml==5.3.0 --target trixie-armhf-cp313 --reason "Built against the wrong libxml2."',
        "rebuild lxml --dry-run",
        "rebuild lxml --yes",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name what to build again, for what, and why."""
        super().add_arguments(parser)
        parser.add_argument("what", metavar="PACKAGE[==VERSION]")
        parser.add_argument("--target", help="as trixie-armhf-cp313; all that have wheels without it")
        parser.add_argument("--reason", default="", help="shown on the pages of the builds")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Queue it and say so."""
        subject = named.subject(options["what"], options["target"])
        pairs = rebuilding.of_package(*subject)
        if not pairs:
            raise CommandError(
                "There are no wheels of it: name a version and a target to build one all the same."
            )
        # Of one version there are not many, and whoever names it means them.
        is_few = subject.version is not None and not options["dry_run"]
        queued = are(len(pairs), Build._meta)
        deed = f"Of {subject}, {queued} queued before all that nobody asked for."
        if not is_few and not self.may(deed, options):
            return
        reason = f"{audit.who()} wants it built again. {options['reason']}".strip()
        with transaction.atomic():
            answer = rebuilding.rebuild(subject.package, pairs, reason, database_now())
            self.conclude(str(answer), "rebuild", [subject.package], options["reason"])
        if not answer.queued:
            raise CommandError("Nothing of it can be built again, as is said above.")
