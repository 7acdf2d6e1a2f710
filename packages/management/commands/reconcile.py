"""`manage.py reconcile`: compare all names with upstream's list now, without waiting for the schedule."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from packages import doubt, reconcile, sync
from packages.clock import database_now
from packages.command import DestructiveCommand
from packages.models import Package, SyncCursor
from packages.wording import are, many


class Command(DestructiveCommand):
    """Compare all names with upstream's list now."""

    help = (
        "Compare all names with upstream's list now; what differs is looked up by the worker. With --believe"
        " it asks first."
    )
    examples = (
        "reconcile",
        "reconcile --believe --dry-run",
        "reconcile --believe --yes",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument(
            "--believe",
            action="store_true",
            help="upstream has really removed what it denies: for a day, withdraw whatever vanishes",
        )

    def handle(self, *args: object, believe: bool, **options: Any) -> None:  # Any: Django's options
        """Compare, and say what is to be looked up."""
        now = database_now()
        if (believe or options["dry_run"]) and not self.may(_deed(believe=believe), options):
            return
        if believe:
            denied = many(doubt.believe(now), Package._meta)
            said = f"Upstream is believed for a day, and asked for {denied} that it denies."
            self.conclude(said, "believe", [SyncCursor.current()])
        before = SyncCursor.current().listed_at
        marked = reconcile.reconcile(sync.upstream(), settings.PIWHEELS_WATCH, now=now)
        if SyncCursor.current().listed_at == before:
            raise CommandError(
                "Upstream's list was not read to its end: it does not answer (the log says why), or somebody"
                " else reads it at this moment. Try again in some minutes."
            )
        self.stdout.write(f"{are(marked, Package._meta)} to be looked up.")


def _deed(*, believe: bool) -> str:
    """Say what would be done."""
    if believe:
        doubted = SyncCursor.current().doubted
        return f"Whatever vanishes upstream within a day is withdrawn: {many(doubted, Package._meta)} by now."
    return "All names are compared with upstream's list, and what differs is looked up."
