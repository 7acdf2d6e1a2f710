"""`manage.py unyank WHAT...`: let installers choose wheels again."""

from argparse import ArgumentParser
from typing import Any

from builds.management import named
from builds.models import Wheel
from packages.command import DestructiveCommand
from packages.progress_bar import ProgressBar
from packages.wording import many


class Command(DestructiveCommand):
    """Let installers choose wheels again."""

    help = (
        "Take yanks back. A wheel that a rebuild has replaced is only taken by its own file name, as it would"
        " else come back beside its replacement."
    )
    examples = (
        "unyank lxml-5.3.0-cp313-cp313-linux_armv6l.linux_armv7l.whl --yes",
        "unyank lxml==5.3.0 --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the wheels."""
        super().add_arguments(parser)
        parser.add_argument(
            "what", nargs="+", metavar="WHAT", help="a wheel's file name, PACKAGE==VERSION or PACKAGE"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Take them back and say how many."""
        found = [wheel for wheel in named.wheels(options["what"]) if wheel.yanked]
        wheels = [
            wheel for wheel in found if wheel.superseded_by_id is None or wheel.filename in options["what"]
        ]
        if not self.may(f"The yank of {many(len(wheels), Wheel._meta)} is taken back.", options):
            return
        with self.noting("unyank wheel", wheels) as told, ProgressBar(len(wheels)) as bar:
            for wheel in wheels:
                wheel.unyank()
                bar.advance(1)
            told.said = f"The yank of {many(len(wheels), Wheel._meta)} was taken back."
