"""`manage.py move_storage`: bring all files from the storage before into the one that is written to."""

from argparse import ArgumentParser
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.management.base import CommandError

from builds.files import moving
from builds.files.relocation import STAYS, Move
from builds.files.storage import Unreachable
from builds.models import Wheel
from packages import audit
from packages.clock import database_now
from packages.command import DestructiveCommand
from packages.progress_bar import ProgressBar


class Command(DestructiveCommand):
    """Bring all files from one storage into another."""

    help = (
        "Copy all that is in PIWHEELS_STORAGE_BEFORE into PIWHEELS_STORAGE, each file read back and compared."
        " It can be stopped at any time; said again, it goes on."
    )
    examples = (
        "move_storage --dry-run",
        "move_storage",
        "move_storage --delete --yes",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument(
            "--delete",
            action="store_true",
            help=f"delete what was copied over {STAYS} ago and is the same in both from the old storage",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Move, and say how far it is."""
        new, before = moving.both()
        if before is None:
            raise CommandError(
                "Name the storage to move into in PIWHEELS_STORAGE and the one to move from in"
                " PIWHEELS_STORAGE_BEFORE, for all processes."
            )
        move = Move(before, new, database_now(), deletes=options["delete"], is_dry=options["dry_run"])
        try:
            before.require()
            new.require()
            if move.deletes and not move.is_dry and not self.may(_say_deletion(move), options):
                return
            with _noting(move) as told:
                self._run(move)
                told.said = f"{move.done.deleted} files deleted from {before.said()}."
        except KeyboardInterrupt:
            raise CommandError("Stopped. Say it again, and it goes on from here.") from None
        except Unreachable as error:
            raise CommandError(str(error)) from error
        except moving.faults() as error:
            raise CommandError(
                f"{error} Say it again when that is over, and it goes on from here."
            ) from error
        self._tell(move)

    def _run(self, move: Move) -> None:
        """Move one folder after the other."""
        parts = move.parts()
        with ProgressBar(len(parts)) as bar:
            for part in parts:
                move.run(part, bar.show)
                bar.advance(1)

    def _tell(self, move: Move) -> None:
        """Say what was done, and what is left to do."""
        done, old = move.done, move.before.said()
        would = "would be " if move.is_dry else ""
        self.stdout.write(
            f"{done.copied} files ({done.copied_bytes} bytes) {would}copied to {move.new.said()},"
            f" {done.there} were there, {done.deleted} {would}deleted from {old}."
        )
        for line in done.faults:
            self.stdout.write(line)
        if strangers := move.strangers():
            self.stdout.write(f"Not ours, and left where it is: {', '.join(strangers)}")
        if not done.is_whole:
            raise CommandError(f"{len(done.faults)} files are not in the new storage: keep {old}.")
        if done.too_new:
            self.stdout.write(f"{done.too_new} were copied less than {STAYS} ago: say it again later.")
        elif not move.is_dry and not done.copied:
            self.stdout.write(
                f"All that {old} has is in {move.new.said()}. Empty it with --delete; when it is empty, or"
                " was removed otherwise, unset PIWHEELS_STORAGE_BEFORE."
            )
        elif not move.is_dry:
            self.stdout.write("Say it again until nothing is copied any more.")


def _noting(move: Move) -> AbstractContextManager[audit.Told]:
    """Note who has files deleted; to copy takes nothing away."""
    if move.deletes and not move.is_dry:
        return audit.noting_command("empty storage", [], model=Wheel)
    return nullcontext(audit.Told())


def _say_deletion(move: Move) -> str:
    """Say what may be deleted; which of the files it is, only reading all of them tells."""
    files = sum(1 for part in move.parts() for _ in move.before.walk(part))
    return (
        f"Of {files} files in {move.before.said()}, those are deleted that have been in {move.new.said()} for"
        f" {STAYS} and are the same there."
    )
