"""`manage.py add_host_target`: make this machine something to build for, and print its key."""

from typing import Any

from django.db import transaction

from builds.host import host_target
from builds.models import Target
from packages import audit
from packages.command import ManualCommand


class Command(ManualCommand):
    """Add the target that this machine is."""

    help = "Add this machine's own OS release, architecture and Python as an active target; print its key."
    examples = ("add_host_target",)

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Add the target, or find it."""
        with transaction.atomic():
            target = host_target()
            audit.note_command("add host target", [target], model=Target, said=f"{target} is built for.")
        self.stdout.write(target.key)
