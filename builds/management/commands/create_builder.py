"""`manage.py create_builder NAME TARGET`: enrol a builder and print what it gets in with, once."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from builds.builders import enrolment
from builds.builders.enrolment import BadName, Keys
from builds.builders.redis_users import RedisFault
from builds.management import named
from builds.models import Builder, Target
from packages import audit
from packages.clock import database_now
from packages.command import DestructiveCommand


class Command(DestructiveCommand):
    """Enrol a builder."""

    help = (
        "Enrol a builder for a target, with its user in Redis, and print its token and the command to run "
        "on the Pi. Nothing of it can be shown again; run it again for new ones, or for another target. "
        "Before it takes the keys of one that is known it asks."
    )
    examples = (
        "create_builder pi-07 trixie-armhf-cp313",
        "create_builder pi-07 trixie-armhf-cp313 --json",
        "create_builder pi-07 trixie-armhf-cp313 --dry-run",
        "create_builder pi-07 forky-armhf-cp314 --yes",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the builder and its target."""
        super().add_arguments(parser)
        parser.add_argument("name", help="lower-case letters, digits and hyphens, as pi-07")
        parser.add_argument("target", help="a target's key, as trixie-armhf-cp313")
        parser.add_argument("--json", action="store_true", help="print token and orders_url for a program")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Enrol the builder, or give it new keys."""
        target = named.target(options["target"])
        try:
            before = enrolment.known(options["name"])
            if not self._is_meant(before, target, options):
                return
            keys = _enrol(options["name"], before, target)
        except (BadName, RedisFault) as error:
            raise CommandError(str(error)) from error
        if not target.is_active:
            self.stderr.write(
                f"{target} is not active, so nothing is built for it: activate it in the admin."
            )
        told = json.dumps({"token": keys.token, "orders_url": keys.orders_url})
        self.stdout.write(told if options["json"] else keys.text())

    def _is_meant(self, before: Builder | None, target: Target, options: dict[str, Any]) -> bool:
        """Tell whether to do it; one that is known loses its keys, so somebody has to say yes."""
        if before is None:
            return not self.is_trial(f"{options['name']} is enrolled, and builds for {target}.", options)
        moves = "" if before.target == target else f", and no more for {before.target}"
        return self.may(
            f"{before} is known: it gets new keys, the old ones open nothing any more, and it builds for"
            f" {target}{moves}.",
            options,
        )


def _enrol(name: str, before: Builder | None, target: Target) -> Keys:
    """Enrol a builder, or give a known one new keys, and note it."""
    if before:
        with audit.noting_command("re-key builder", [before], model=Builder) as told:
            keys = enrolment.enrol(name, target, database_now())
            told.said = f"New keys for 1 builder of {target}."
        return keys
    said = audit.UNFINISHED
    try:
        keys = enrolment.enrol(name, target, database_now())
        said = f"1 builder of {target}."
    finally:
        # It is there, whatever became of its user in Redis.
        if builder := Builder.objects.filter(name=name).first():
            audit.note_command("enrol builder", [builder], model=Builder, said=said)
    return keys
