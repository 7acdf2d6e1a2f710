"""`manage.py count_downloads FILE...`: count what old logs tell, of Apache or nginx, gzip or not."""

from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from packages.clock import database_now
from packages.command import TrialCommand
from packages.progress_bar import ProgressBar
from simple.log_files import BadLog, LogFile
from simple.logs import LogCounter, OtherLog, ReadByOthers
from simple.models import Log


class Command(TrialCommand):
    """Count downloads from logs that are over."""

    help = (
        "Count downloads from logs in the combined format or nginx's JSON; what was counted is passed over."
    )
    examples = (
        "count_downloads /var/log/nginx/piwheels.json.log.1",
        "count_downloads /var/log/apache2/access.log* --dry-run",
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        super().add_arguments(parser)
        parser.add_argument("paths", nargs="+", type=Path, metavar="FILE")

    def handle(self, *args: object, paths: list[Path], **options: Any) -> None:  # Any: Django's options
        """Count each log, and fail if one of them could not be read to its end."""
        failures = []
        counter = LogCounter()
        with ProgressBar(sum(map(_size, paths))) as bar:
            for path in paths:
                bar.show(path.name)
                try:
                    said = _look(path) if options["dry_run"] else _count(counter, path, bar)
                    self.stdout.write(f"{path}: {said}")
                except (BadLog, OtherLog, ReadByOthers, OSError) as error:
                    failures.append(str(error))
        if failures:
            raise CommandError("\n".join(failures))


def _size(path: Path) -> int:
    """Return how many bytes a log has; 0 for what cannot be read, as counting it says so."""
    with suppress(OSError):
        return path.stat().st_size if path.is_file() else 0
    return 0


def _look(path: Path) -> str:
    """Say what there is to count of a log."""
    with LogFile(path, is_over=True) as file:
        if not file.first_line:
            return "there is no line in it."
        log = Log.objects.filter(first_line=file.first_line).first()
        before = f"{log.lines} lines of it were counted before" if log else "none of it was counted before"
        return f"{before}; what is new would be."


def _count(counter: LogCounter, path: Path, bar: ProgressBar) -> str:
    """Count one log, and say what it told."""
    with LogFile(path, is_over=True) as file:
        if not file.first_line:
            return "there is no line in it."
        log = counter.open_row(file)
        before, at = log.lines, 0
        while counter.count_some(log, file, now=database_now()):
            bar.advance(file.raw.tell() - at)
            at = file.raw.tell()
    return _summary(log, log.lines - before)


def _summary(log: Log, lines: int) -> str:
    """Say what came of a log."""
    if not lines:
        return f"was counted before: {log.lines} lines, {log.downloads} downloads."
    refused = "".join(f", {count} {reason}" for reason, count in sorted(log.refused.items()))
    return f"{lines} lines read; in all {log.downloads} downloads, {log.misses} in vain{refused}."
