"""`manage.py add_host_target`: make this machine something to build for, and print its key."""

import json
from typing import Any

from django.db import transaction

from builds.builders.host import host_target
from builds.builders.this_machine import fields
from builds.models import Target
from packages import audit
from packages.command import TrialCommand


class Command(TrialCommand):
    """Add the target that this machine is."""

    help = (
        "Add this machine's own OS release, architecture and Python as an active target; print its key. "
        "A dry run asks no database, and prints what to type in for a farm on another machine, as "
        "python3 -m builds.builders.this_machine does where nothing is installed."
    )
    examples = ("add_host_target", "add_host_target --dry-run")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Add the target, or find it."""
        if options["dry_run"]:
            self.say_trial("this becomes an active target, unless it is one.")
            self.stdout.write(json.dumps(fields(), indent=2))
            return
        with transaction.atomic():
            target = host_target()
            audit.note_command("add host target", [target], model=Target, said=f"{target} is built for.")
        self.stdout.write(target.key)
