"""`manage.py send_test_message`: find out whether messages about what needs a person arrive."""

from typing import Any

from django.core.management.base import CommandError

from packages.clock import database_now
from packages.command import ManualCommand
from piwheels_site import couriers


class Command(ManualCommand):
    """Send one message on each channel."""

    help = "Send a message on each channel that is set, and say whether it was taken."
    examples = ("send_test_message",)
    statuses = {1: "one was not taken, or nobody is told"}

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Send them, and fail if one was not taken."""
        channels = couriers.all_set()
        if not channels:
            raise CommandError(
                "Nobody is told: set PIWHEELS_ALERT_MAIL, PIWHEELS_ALERT_WEBHOOK or PIWHEELS_MASTODON."
            )
        faults = {channel: couriers.try_out(channel, database_now()) for channel in channels}
        for channel, fault in faults.items():
            self.stdout.write(f"{channel}: {fault or 'taken'}")
        if any(faults.values()):
            raise CommandError("What was not taken says why; the settings tell where it goes.")
