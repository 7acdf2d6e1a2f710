"""`manage.py import_wheels FILE...`: publish wheels that were built by hand."""

import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from builder.contract import LOG_LIMIT
from builds import by_hand
from builds.by_hand import Told
from builds.management import named
from builds.models import Build, Wheel
from packages import audit
from packages.clock import database_now
from packages.command import REFUSED, DestructiveCommand
from packages.models import Version
from packages.wording import are

_HUMAN = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8}(?:\.\d{1,6})?)s?)?")


def seconds(text: str) -> float:
    """Return how long `1h30m`, `90m`, `5.5s` or `90` is; raises ValueError."""
    found = _HUMAN.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text!r} is no time: write 90, 90s, 15m or 1h30m.")
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + rest


class Command(DestructiveCommand):
    """Publish wheels that were built by hand."""

    help = (
        "Publish the wheels of one build that was made by hand. They are verified as a builder's are, and"
        " what is published under a name stays there for ever. Package, version and target are what the"
        " names of the files say, unless they are given; a pure wheel does not say its target."
    )
    examples = (
        "import_wheels numpy-2.4.0-cp313-cp313-linux_armv7l.whl --duration 2h10m --output build.log",
        "import_wheels demo-1.0-py3-none-any.whl --target trixie-armhf-cp313 --yes",
        "import_wheels dist/*.whl --dependencies apt.txt --delete --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the files, and what they do not tell themselves."""
        super().add_arguments(parser)
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--package", metavar="PACKAGE==VERSION", help="as upstream spells it")
        parser.add_argument("--target", help="as trixie-armhf-cp313")
        parser.add_argument("--duration", default="0s", help="how long the build took, as 90s or 1h30m")
        parser.add_argument("--output", type=Path, metavar="LOG", help="a file with what the build printed")
        parser.add_argument(
            "--dependencies",
            type=Path,
            metavar="LIST",
            help="a file with the apt packages that the wheels need, one a line",
        )
        parser.add_argument("--delete", action="store_true", help="delete the files once they are published")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Publish them and say as which build."""
        try:
            wanted = by_hand.prepare(options["files"], *self._named(options))
            told = _told(options)
        except ValueError as error:
            raise CommandError(f"{error} Nothing was published.", returncode=REFUSED) from error
        except (by_hand.CannotImport, OSError) as error:
            raise CommandError(f"{error} Nothing was published.") from error
        if self.may(f"{_say(wanted)} published for good.", options):
            self._publish(wanted, told, delete=options["delete"])

    def _named(self, options: dict[str, Any]) -> tuple[Any, Any]:
        """Return version and target, where they are given."""
        name, number = named.split(options["package"] or "")
        if options["package"] and not number:
            raise CommandError("--package wants a version, too: PACKAGE==VERSION.", returncode=REFUSED)
        version = named.version(named.package(name), number) if number else None
        return version, named.target(options["target"]) if options["target"] else None

    def _publish(self, wanted: by_hand.Import, told: Told, *, delete: bool) -> None:
        """Publish what was looked at."""
        with audit.noting_command("import wheels", [wanted.version], model=Version) as noted:
            try:
                verdict = by_hand.run(wanted, told, database_now())
            except by_hand.CannotImport as error:
                raise CommandError(str(error)) from error
            noted.said = verdict.reason or f"{_say(wanted)} published."
        if verdict.state != Build.State.SUCCEEDED:
            raise CommandError(verdict.reason)
        self.stdout.write(noted.said)
        try:
            for path in wanted.paths if delete else ():
                path.unlink()
        except OSError as error:
            raise CommandError(f"They are published, and not all files could be deleted: {error}") from error


def _say(wanted: by_hand.Import) -> str:
    """Begin a sentence on what is imported."""
    return f"Of {wanted.version} for {wanted.target}, {are(len(wanted.paths), Wheel._meta)}"


def _told(options: dict[str, Any]) -> Told:
    """Return what a person says of the build; raises ValueError and OSError."""
    log = b""
    if options["output"]:
        with options["output"].open("rb") as file:
            log = file.read(LOG_LIMIT)
    apt = options["dependencies"].read_text(encoding="utf-8").split("\n") if options["dependencies"] else []
    return Told(
        by=audit.who(),
        duration_s=seconds(options["duration"]),
        log=log,
        apt=tuple(line.strip() for line in apt if line.strip()),
    )
