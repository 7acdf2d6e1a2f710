"""`manage.py add_package NAME [VERSION]`: follow a package, or ask for one of its versions."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from packages import adding, sync
from packages.clock import database_now
from packages.command import REFUSED, TrialCommand
from packages.pypi import UpstreamUnavailable


class Command(TrialCommand):
    """Follow a package, or ask for one of its versions."""

    help = "Follow a package, or ask for one of its versions to be built first."
    examples = (
        "add_package lxml",
        "add_package lxml 5.3.0",
        "add_package lxml --depth 3",
        "add_package lxml 5.3.0 --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument("name", help="as people spell it")
        parser.add_argument("version", nargs="?", help="build this one, and of a new package only this one")
        parser.add_argument(
            "--depth",
            type=int,
            help="how many of the newest versions to build; without it, what the farm's setting says",
        )

    def handle(
        self, *args: object, name: str, version: str | None, depth: int | None, **options: Any
    ) -> None:
        """Add the package."""
        if depth is not None and depth < 0:
            text = "--depth is a number of versions, so it cannot be negative."
            raise CommandError(text, returncode=REFUSED)
        try:
            if options["dry_run"]:
                adding.check(sync.upstream(), name, version=version, now=database_now())
                self.say_trial(_say(name, version))
                return
            package = adding.add(sync.upstream(), name, version=version, depth=depth, now=database_now())
        except adding.CannotAdd as error:
            raise CommandError(str(error)) from error
        except UpstreamUnavailable as error:
            raise CommandError(f"{error} Nothing was added; try again later.") from error
        self.conclude(_say(str(package), version), "add package", [package])


def _say(name: str, version: str | None) -> str:
    """Say what is done."""
    return f"{name} is followed." if version is None else f"{name} {version} is asked for."
