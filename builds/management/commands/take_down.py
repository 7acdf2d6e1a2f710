"""`manage.py take_down FILENAME... --reason TEXT`: remove wheels' bytes for good."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from builds.files import takedown
from builds.models import Wheel
from packages.clock import database_now
from packages.command import DestructiveCommand
from packages.progress_bar import ProgressBar
from packages.wording import many, were

# How often to look whether the index was written.
EVERY_S = 0.5


class Command(DestructiveCommand):
    """Remove wheels' bytes for good."""

    help = (
        "Take wheels out of the index, and then their bytes out of every storage. There is no way back: the"
        " row stays with its hash, and nothing gets the name again."
    )
    examples = (
        'take_down demo-1.0-py3-none-any.whl --reason "Malware." --dry-run',
        'take_down demo-1.0-py3-none-any.whl --reason "Malware." --yes',
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument("filenames", nargs="+", metavar="FILENAME")
        parser.add_argument("--reason", required=True, help="kept with the wheel")
        parser.add_argument(
            "--now",
            action="store_true",
            dest="at_once",
            help="remove the bytes without waiting until no page lists them",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Take them down, wait for the index, and remove the bytes."""
        wheels = list(Wheel.objects.filter(filename__in=options["filenames"]).select_related("package"))
        unknown = set(options["filenames"]) - {wheel.filename for wheel in wheels}
        if unknown:
            raise CommandError(f"Nothing was done: there is no wheel {', '.join(sorted(unknown))}.")
        size, what = sum(wheel.size for wheel in wheels), many(len(wheels), Wheel._meta)
        deed = f"The index and every storage lose {what} ({size} bytes) for good."
        if not self.may(deed, options):
            return
        with self.noting("take down wheel", wheels, options["reason"]) as told:
            takedown.take_down(wheels, options["reason"], database_now())
            told.said = f"{what} out of the index; the files go now."
        taken = {wheel.pk for wheel in wheels}
        with ProgressBar(len(wheels)) as bar:
            if options["at_once"]:
                for wheel in wheels:
                    takedown.try_to_remove(wheel, database_now())
                    bar.advance(1)
            else:
                self._wait(taken, bar)
        if left := _left(taken):
            raise CommandError(
                f"{were(len(wheels), Wheel._meta)} taken down. The bytes of {many(len(left), Wheel._meta)}"
                " cannot be removed, as is said above; a worker tries that again until they are gone."
            )
        self.stdout.write(f"{were(len(wheels), Wheel._meta)} taken down; the bytes are gone.")

    def _wait(self, taken: set[int], bar: ProgressBar) -> None:
        """Wait for the bytes to go, here or in a worker, unless all that are left cannot be removed."""
        self.stdout.write(
            "They are out of the index; the bytes go when its pages are written, after"
            f" {takedown.PATIENCE} at the latest. A worker does that, too, if this command is stopped."
        )
        while not (left := _left(taken)) <= takedown.put_off():
            bar.advance(len(taken) - len(left) - bar.done)
            takedown.remove_bytes(database_now(), limit=100)
            time.sleep(EVERY_S)


def _left(taken: set[int]) -> set[int]:
    """Return those of which bytes are still to be removed."""
    return set(Wheel.objects.to_remove().filter(pk__in=taken).values_list("pk", flat=True))
