"""`manage.py yank WHAT... --reason TEXT`: ask installers to pass wheels over."""

from argparse import ArgumentParser
from typing import Any

from builds.management import named
from builds.models import Wheel
from packages.command import DestructiveCommand
from packages.progress_bar import ProgressBar
from packages.wording import are, were


class Command(DestructiveCommand):
    """Ask installers to pass wheels over."""

    help = (
        "Yank wheels (PEP 592): installers pass them over, unless a file names the very version or hash. They"
        " stay in the index with the reason. `unyank` takes it back."
    )
    examples = (
        'yank lxml-5.3.0-cp313-cp313-linux_armv6l.linux_armv7l.whl --reason "Crashes on a Pi Zero." --yes',
        'yank lxml==5.3.0 --reason "Crashes on a Pi Zero." --dry-run',
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the wheels, and why."""
        super().add_arguments(parser)
        parser.add_argument(
            "what", nargs="+", metavar="WHAT", help="a wheel's file name, PACKAGE==VERSION or PACKAGE"
        )
        parser.add_argument("--reason", required=True, help="as installers show it")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Yank them and say how many."""
        wheels = [wheel for wheel in named.wheels(options["what"]) if not wheel.is_yanked_by_hand]
        if not self.may(f"{are(len(wheels), Wheel._meta)} yanked.", options):
            return
        with self.noting("yank wheel", wheels) as told, ProgressBar(len(wheels)) as bar:
            for wheel in wheels:
                wheel.yank(options["reason"])
                bar.advance(1)
            told.said = f"{were(len(wheels), Wheel._meta)} yanked: {options['reason']}"
