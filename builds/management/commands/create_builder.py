"""`manage.py create_builder NAME TARGET`: enrol a builder and print its token, once."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError

from builds.models import Builder, Target


class Command(BaseCommand):
    """Enrol a builder."""

    help = "Enrol a builder for a target and print its token, which is kept nowhere. Again: a new token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the builder and its target."""
        parser.add_argument("name", help="lower-case letters, digits and hyphens, as pi-07")
        parser.add_argument("target", help="a target's key, as trixie-armhf-cp313")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Create or re-key the builder."""
        target = Target.objects.filter(key=options["target"]).first()
        if target is None:
            known = ", ".join(Target.objects.values_list("key", flat=True))
            raise CommandError(f"There is no target {options['target']}. There are: {known}.")
        builder = Builder.objects.filter(name=options["name"]).first() or Builder(name=options["name"])
        builder.target = target
        token = builder.rekey()
        try:
            builder.full_clean(exclude=["token_hash"])
            builder.save()
        except (ValidationError, IntegrityError) as error:
            raise CommandError(
                f"{options['name']!r} is no builder's name: use up to 40 lower-case letters, digits, hyphens."
            ) from error
        if not target.is_active:
            self.stderr.write(
                f"{target} is not active, so nothing is built for it: activate it in the admin."
            )
        self.stdout.write(token)
