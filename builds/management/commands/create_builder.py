"""`manage.py create_builder NAME TARGET`: enrol a builder and print what it gets in with, once."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from builds import enrolment
from builds.enrolment import BadName
from builds.models import Builder, Target
from builds.redis_users import RedisFault
from packages import audit
from packages.clock import database_now
from packages.command import TrialCommand


class Command(TrialCommand):
    """Enrol a builder."""

    help = (
        "Enrol a builder for a target, with its user in Redis, and print its token and the command to run "
        "on the Pi. Nothing of it can be shown again; run it again for new ones."
    )
    examples = (
        "create_builder pi-07 trixie-armhf-cp313",
        "create_builder pi-07 trixie-armhf-cp313 --json",
        "create_builder pi-07 trixie-armhf-cp313 --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the builder and its target."""
        super().add_arguments(parser)
        parser.add_argument("name", help="lower-case letters, digits and hyphens, as pi-07")
        parser.add_argument("target", help="a target's key, as trixie-armhf-cp313")
        parser.add_argument("--json", action="store_true", help="print token and orders_url for a program")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Enrol the builder, or give it new keys."""
        target = Target.objects.filter(key=options["target"]).first()
        if target is None:
            known = ", ".join(Target.objects.values_list("key", flat=True))
            raise CommandError(f"There is no target {options['target']}. There are: {known}.")
        try:
            if options["dry_run"]:
                is_known = enrolment.check(options["name"])
                deed = "gets new keys, the old ones are dead, and it" if is_known else "is enrolled, and"
                self.say_trial(f"{options['name']} {deed} builds for {target}.")
                return
            keys = enrolment.enrol(options["name"], target, database_now())
        except (BadName, RedisFault) as error:
            raise CommandError(str(error)) from error
        said = f"New keys for 1 builder of {target}."
        audit.note_command("re-key builder", [keys.builder], model=Builder, said=said)
        if not target.is_active:
            self.stderr.write(
                f"{target} is not active, so nothing is built for it: activate it in the admin."
            )
        told = json.dumps({"token": keys.token, "orders_url": keys.orders_url})
        self.stdout.write(told if options["json"] else keys.text())
