"""What all commands of ours have in common: help like a page of a manual, and a question before harm is done.

What a command does is in its app; here is only how it speaks to whoever called it.
"""

import sys
import textwrap
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db.models import Model

from packages import audit

# What shells, cron and systemd learn of a command.
OK, FAULT, REFUSED = 0, 1, 2

_WIDTH = 79


class _Formatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Leaves examples as they are written; the rest is as Django has it."""


class ManualCommand(BaseCommand):
    """A command whose `--help` says what it does, with which arguments, by example, and how it exits."""

    # Each a line, without `manage.py`.
    examples: ClassVar[tuple[str, ...]]
    # What is said of each status; a command that means something else by one says so.
    statuses: ClassVar[dict[int, str]] = {}

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:  # Any: Django's
        """Return the parser, whose help is the manual."""
        parser = super().create_parser(
            prog_name, subcommand, formatter_class=_Formatter, epilog=self._epilog(), **kwargs
        )
        parser.description = textwrap.fill(self.help, _WIDTH)
        return parser

    def _epilog(self) -> str:
        """Return what follows the arguments: examples, and what the exit status says."""
        said = {OK: "done", FAULT: "an error, which stderr names", **self._refusals(), **self.statuses}
        lines = ["examples:", *(f"  manage.py {example}" for example in self.examples), "", "exit status:"]
        return "\n".join([*lines, *(f"  {status}  {meaning}" for status, meaning in sorted(said.items()))])

    def _refusals(self) -> dict[int, str]:
        """Return what a refusal to begin is, for this command."""
        return {REFUSED: "wrong arguments; nothing was done"}

    @contextmanager
    def noting(self, action: str, rows: Sequence[Model], reason: str = "") -> Iterator[audit.Told]:
        """Note who does what to these rows before it is done, and at its end say what came of it.

        To none, nobody did anything.
        """
        told = audit.Told()
        if rows:
            with audit.noting_command(action, rows, model=type(rows[0]), reason=reason) as told:
                yield told
        else:
            yield told
        self.stdout.write(told.said)

    def conclude(self, said: str, action: str, rows: Sequence[Model], reason: str = "") -> None:
        """Say what was done to these rows, and note who did it; to none, nobody did anything."""
        if rows:
            audit.note_command(action, rows, model=type(rows[0]), said=said, reason=reason)
        self.stdout.write(said)


class TrialCommand(ManualCommand):
    """A command that can be tried without doing it."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add how to try it."""
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def is_trial(self, deed: str, options: dict[str, Any]) -> bool:  # Any: Django's options
        """Tell whether it is only tried, and if so say what would be done."""
        if options["dry_run"]:
            self.say_trial(deed)
        return bool(options["dry_run"])

    def say_trial(self, deed: str) -> None:
        """Say what would be done."""
        self.stdout.write(f"This would happen: {deed}")


class DestructiveCommand(TrialCommand):
    """A command that takes something away: it asks before it does."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add how a script says that it is meant."""
        super().add_arguments(parser)
        parser.add_argument("--yes", "-y", action="store_true", help="do not ask; for scripts")

    def _refusals(self) -> dict[int, str]:
        """Return what a refusal to begin is: also that nobody said yes."""
        return {REFUSED: "wrong arguments, or not confirmed; nothing was done"}

    def may(self, deed: str, options: dict[str, Any]) -> bool:  # Any: Django's options
        """Tell whether to do what `deed` says, with its counts; False in a dry run, where it is only said.

        Raises CommandError when nobody says yes, or nobody is there to be asked.
        """
        if self.is_trial(deed, options):
            return False
        if options["yes"]:
            return True
        if not sys.stdin.isatty():
            raise CommandError(
                f"{deed} Nothing was done, as nobody is here to be asked: say --yes, or --dry-run.",
                returncode=REFUSED,
            )
        self.stdout.write(deed)
        if not _says_yes():
            raise CommandError("Nothing was done.", returncode=REFUSED)
        return True


def moment(text: str) -> datetime:
    """Return a date, or a date and time, as somebody writes it; in UTC unless it says otherwise."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _says_yes() -> bool:
    """Ask whoever sits at the terminal; an end of input is a no."""
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
