"""`manage.py check_storage`: compare what is stored with what the rows say."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.management.base import CommandError
from django.db import Error

from builds.files import moving
from builds.files.checking import Check
from builds.files.mending import Mender
from builds.files.storage import Unreachable
from builds.files.stored import PREFIXES
from builds.models import Wheel
from packages import audit
from packages.clock import database_now
from packages.command import DestructiveCommand
from packages.progress_bar import ProgressBar
from packages.wording import many


def _slice(text: str) -> tuple[int, int]:
    """Return the two numbers of N/M."""
    first, _, of = text.partition("/")
    if not (first.isdecimal() and of.isdecimal() and 1 <= int(first) <= int(of) <= len(PREFIXES)):
        raise ArgumentTypeError(f"{text} is not N/M, as 1/8 for the first of eight parts.")
    return int(first), int(of)


class Command(DestructiveCommand):
    """Compare what is stored with what the rows say."""

    help = (
        "Every wheel that is not withdrawn has its file, its METADATA and its statement, and every file"
        " belongs to a row. With --fix it asks, and does what can be done."
    )
    statuses = {
        0: "all is well",
        1: "something was found, also if it was mended",
        2: "it could not be checked to its end, was not confirmed, or wrong arguments",
    }
    examples = (
        "check_storage",
        "check_storage --hashes --slice 3/8",
        "check_storage --logs",
        "check_storage --fix --yes",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument("--hashes", action="store_true", help="read all bytes, and compare their sha256")
        parser.add_argument(
            "--fix",
            action="store_true",
            help="restore what can be restored, withdraw and build again what cannot, set strangers aside",
        )
        parser.add_argument("--logs", action="store_true", help="name builds that ended and left no log, too")
        parser.add_argument(
            "--slice", type=_slice, default=(1, 1), metavar="N/M", dest="part", help="only one part of M"
        )
        parser.add_argument(
            "--withdraw",
            type=int,
            default=10,
            metavar="N",
            help="with --fix: withdraw no more than N wheels (10); many lost wheels are rather one lost disk",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Check, and fail if something was found."""
        options["fix"] = options["fix"] and self.may(_say(options["withdraw"]), options)
        faults: tuple[type[Exception], ...] = (Error, *moving.faults())
        try:
            with _noting(is_fix=options["fix"]) as told:
                mended: list[str] = []
                found, seen = self._check(mended, **options)
                told.said = _say_mended(mended)
        except Unreachable as error:
            raise CommandError(str(error), returncode=2) from error
        except faults as error:
            raise CommandError(f"It could not be checked to its end: {error}", returncode=2) from error
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
        wheels = many(seen["wheels"], Wheel._meta)
        said = f"{wheels} and {seen['files']} files ({seen['size']} bytes) were compared"
        if found:
            raise CommandError(f"{said}: {counts}.", returncode=1)
        self.stdout.write(f"{said}: all is well.")

    def _check(
        self,
        mended: list[str],
        *,
        hashes: bool,
        fix: bool,
        logs: bool,
        part: tuple[int, int],
        withdraw: int,
        **options: Any,
    ) -> tuple[Counter[str], Counter[str]]:
        """Check the parts, and return what was found and how much was seen; say what was mended, too."""
        check = Check.of_storage(database_now(), reads=hashes, with_logs=logs)
        mender = Mender(check.holder, check.before, check.now, withdraw) if fix else None
        found: Counter[str] = Counter()
        seen: Counter[str] = Counter()
        prefixes = PREFIXES[part[0] - 1 :: part[1]]
        with ProgressBar(len(prefixes), sys.stderr) as bar:
            for prefix in prefixes:
                bar.show(f"{prefix}, {sum(found.values())} found")
                for step in check.part(prefix):
                    seen.update(wheels=step.wheels, files=step.files, size=step.size)
                    for fault in step.faults:
                        found[fault.kind] += 1
                        said = f"{fault} [{mender.mend(fault)}]" if mender else str(fault)
                        mended += [said] if mender else []
                        self.stdout.write(said)
                bar.advance(1)
        return found, seen


def _noting(*, is_fix: bool) -> AbstractContextManager[audit.Told]:
    """Note who has it mended; to look is no deed."""
    return audit.noting_command("fix storage", [], model=Wheel) if is_fix else nullcontext(audit.Told())


def _say_mended(mended: list[str]) -> str:
    """Say what was done about what was found, as far as a row of the log should go."""
    more = [f"And {len(mended) - audit.NAMED:,} more."] if len(mended) > audit.NAMED else []
    return " ".join([*mended[: audit.NAMED], *more]) or "All was well."


def _say(withdraw: int) -> str:
    """Say what mending may do."""
    wheels = many(Wheel.objects.standing().count(), Wheel._meta)
    return (
        f"The files of {wheels} are compared, what is wrong is mended, and no more than {withdraw} are"
        " withdrawn."
    )
