"""Follows the log of a web server: counts its lines as they are written, and those of its rotated copies.

`rename` and create (logrotate's way, and nginx's after USR1): what is still written to the renamed file is
read until it is quiet.  `copytruncate`: what was not read before the file was emptied is in the copy; what
the server wrote between copy and emptying is nowhere.  Whatever was missed while nobody followed is in the
files beside the log that begin with its name, compressed or not, as long as they are kept.
"""

import glob
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from django.db import Error, connection
from django.db.models import Max
from gunicorn.systemd import sd_notify

from packages.clock import database_now
from simple.log_files import BadLog, LogFile
from simple.logs import LogCounter, OtherLog, ReadByOthers
from simple.models import MOST_PATH, Log

logger = logging.getLogger(__name__)

POLL_S = 0.5
# nginx opens its log anew within a moment of being told; a request that takes longer is written at its end.
QUIET_S = 10.0
# How long to wait for a database or a disk that is in trouble.
LEAST_WAIT_S, MOST_WAIT_S = 1.0, 30.0


class Follower:
    """Reads one log."""

    def __init__(self, path: Path, *, quiet_s: float = QUIET_S) -> None:
        self.path = path
        self._quiet_s = quiet_s
        self._counter = LogCounter()
        self._open: tuple[LogFile, Log] | None = None
        self._moved_away_at: float | None = None
        self._missed_some = True
        self._was_there = True
        self._passed_over: set[Path] = set()

    def run(self, stop: Event, poll_s: float = POLL_S) -> None:
        """Count until told to stop; no trouble of database or disk ends it."""
        wait_s = LEAST_WAIT_S
        try:
            while not stop.is_set():
                _live()
                try:
                    if not self.step():
                        stop.wait(poll_s)
                    wait_s = LEAST_WAIT_S
                except (Error, OSError, ReadByOthers, BadLog) as error:
                    logger.warning("%s is not counted now, but will be: %s", self.path, error)
                    self._forget()
                    stop.wait(wait_s)
                    wait_s = min(2 * wait_s, MOST_WAIT_S)
        finally:
            self.close()

    def step(self) -> int:
        """Count some lines; return how many, 0 if there is nothing to do now."""
        if self._missed_some:
            self._missed_some = not self._catch_up()
        self._open = self._open or self._open_current()
        if self._open is None:
            return 0
        file, log = self._open
        if lines := self._counter.count_some(log, file, now=database_now()):
            self._moved_away_at = None
            return lines
        self._look_for_rotation(file, log)
        return 0

    def close(self) -> None:
        """Close the log."""
        if self._open:
            self._open[0].close()
        self._open = None
        self._moved_away_at = None

    def _forget(self) -> None:
        """Take nothing for granted any more: neither the connection nor how far anything was read."""
        self.close()
        self._counter = LogCounter()
        self._missed_some = True
        connection.close()

    def _open_current(self) -> tuple[LogFile, Log] | None:
        """Open the log where it was read to; None if there is nothing in it yet."""
        try:
            file = LogFile(self.path, is_over=False)
        except FileNotFoundError:
            if self._was_there:
                logger.warning(
                    "There is no %s: nothing is counted until a web server writes there.", self.path
                )
            self._was_there = False
            return None
        self._was_there = True
        if not file.first_line:
            file.close()
            return None
        try:
            return file, self._row(file)
        except BaseException:
            file.close()
            raise

    def _row(self, file: LogFile) -> Log:
        """Return the row of a log, which begins again if it has become another log."""
        try:
            return self._counter.open_row(file, is_followed=True)
        except OtherLog as error:
            logger.error("%s It is counted from its beginning.", error)
            Log.objects.get(first_line=file.first_line).begin_again()
            return self._counter.open_row(file, is_followed=True)

    def _look_for_rotation(self, file: LogFile, log: Log) -> None:
        """Close the log when it is no longer the one at its path, and nothing more comes."""
        if not file.begins_as_before():
            self.close()
            self._missed_some = True
            return
        if self._is_at_its_path(file):
            self._moved_away_at = None
            return
        now = time.monotonic()
        if self._moved_away_at is None:
            self._moved_away_at = now
        if now - self._moved_away_at >= self._quiet_s:
            file.is_over = True
            self._count_all(log, file)
            self.close()
            self._missed_some = True

    def _is_at_its_path(self, file: LogFile) -> bool:
        """Tell whether the open file is the one that the server writes to, as far as a path can tell."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        ours = file.status()
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _catch_up(self) -> bool:
        """Count what rotated logs have that was not counted, the oldest first; False if one may grow yet."""
        known = Log.objects.filter(is_followed=True, path__startswith=str(self.path)[-MOST_PATH:])
        newest: datetime | None = known.aggregate(newest=Max("modified_at"))["newest"]
        if newest is None:
            # Nothing was followed before: what is there is for `manage.py count_downloads`.
            return True
        all_over = True
        for path in sorted(self._rotated(), key=_modified_at):
            try:
                is_over = time.time() - path.stat().st_mtime >= self._quiet_s
                all_over &= is_over
                with LogFile(path, is_over=is_over) as file:
                    self._finish(file, newest)
                self._passed_over.discard(path)
            except FileNotFoundError:
                # It was renamed meanwhile, and has to be looked for again.
                all_over = False
            except (BadLog, OSError) as error:
                self._pass_over(path, error)
        return all_over

    def _pass_over(self, path: Path, error: Exception) -> None:
        """Tell once that a rotated log is not read: it may be anybody's copy, and the log itself goes on."""
        if path not in self._passed_over:
            logger.warning("A rotated log, %s, cannot be counted to its end: %s", path, error)
        self._passed_over.add(path)

    def _rotated(self) -> list[Path]:
        """Return the files that this log may have become."""
        found = self.path.parent.glob(f"{glob.escape(self.path.name)}[.-]*")
        return [path for path in found if path.is_file()]

    def _finish(self, file: LogFile, newest: datetime) -> None:
        """Count the rest of a rotated log, if it is one that was followed or has come since."""
        log = Log.objects.filter(first_line=file.first_line).first()
        modified_at = datetime.fromtimestamp(file.status().st_mtime, UTC)
        if not file.first_line or (log is None and modified_at < newest) or (log and log.is_over):
            return
        try:
            log = self._counter.open_row(file, is_followed=True)
        except OtherLog as error:
            logger.error("%s", error)
            return
        self._count_all(log, file)
        if file.is_over:
            log.end(database_now())

    def _count_all(self, log: Log, file: LogFile) -> None:
        """Count the rest of a log, which may take its time."""
        while self._counter.count_some(log, file, now=database_now()):
            _live()


def _modified_at(path: Path) -> float:
    """Return when a file was written last; one that cannot be looked at is the first to be missed."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _live() -> None:
    """Tell systemd, if it watches, that this goes on."""
    sd_notify("WATCHDOG=1", logger)
