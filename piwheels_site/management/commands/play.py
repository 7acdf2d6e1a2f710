"""`manage.py play`: fill an empty farm with a sample, to see every page with something on it."""

import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from builds.models import Build, Wheel
from packages.command import ManualCommand
from packages.models import Package
from piwheels_site.sample import fill, live
from piwheels_site.sample.printed import NoLogs


class Command(ManualCommand):
    """Fill an empty farm with a sample."""

    help = "Fill an empty farm with made-up packages, builds and downloads; refuses one that has anything."
    examples = (
        "play",
        "play --packages 500 --seed 2",
        "play --packages 500 --seed 2 --live",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        parser.add_argument("--packages", type=int, default=120, help="how many (%(default)s)")
        parser.add_argument("--seed", type=int, default=1, help="another seed, another farm (%(default)s)")

        parser.add_argument(
            "--live", action="store_true", help="keep a sample moving, filled before with the same arguments"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Fill it and say with what; or have it move."""
        if options["packages"] < 10:
            raise CommandError("Take 10 --packages or more: fewer are no farm.")
        if options["live"]:
            self._live(options["packages"], options["seed"])
        try:
            fill.fill(options["packages"], options["seed"], timezone.now())
        except (fill.NotEmpty, NoLogs) as problem:
            raise CommandError(str(problem)) from problem
        packages, builds, wheels = (model.objects.count() for model in (Package, Build, Wheel))
        self.stdout.write(
            f"There are {packages} packages, {builds} builds and {wheels} wheels, none of them real."
        )

    def _live(self, packages: int, seed: int) -> None:
        """Keep the sample moving until somebody ends it."""
        if not fill.is_sample():
            raise CommandError("There is no sample here: fill an empty farm with `manage.py play` first.")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        live.run(packages, seed)
