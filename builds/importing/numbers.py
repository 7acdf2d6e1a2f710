"""Keeps the numbers of their builds free for them, as those are in the addresses of logs."""

from django.db import connection

from builds.models import Build
from packages import plain_sql
from packages.importing.original import NotReadable, Original
from packages.importing.progress import Batch, Progress

# What that farm may still build while and after the import runs, before it is switched off.
ROOM = 1_000_000

# A number that was given out comes again in no table: PostgreSQL has a sequence, SQLite a row of its own.
_RAISE = {
    "postgresql": "SELECT setval(pg_get_serial_sequence('builds_build', 'id'), %s)",
    "sqlite": "INSERT INTO sqlite_sequence (name, seq) VALUES ('builds_build', %s)",
}


def reserve(original: Original, progress: Progress) -> int:
    """Return the highest number that is theirs; the first time, have our own builds begin behind it.

    Raises NotReadable for a farm that has builds of its own already, and for the database of another farm
    than the one that was begun with.
    """
    highest = original.number("SELECT max(build_id) FROM builds")
    if progress.is_dry:
        return highest
    step = progress.step("numbers")
    if step.cursor:
        _check_same(original, progress)
        return int(step.cursor[0])
    if Build.objects.exists():
        raise NotReadable(
            "This farm has builds already, and their numbers are those of builds there, which are in the"
            " addresses of logs: import into a farm that has built nothing yet."
        )
    most = highest + ROOM
    if connection.vendor == "sqlite":
        plain_sql.change("DELETE FROM sqlite_sequence WHERE name = 'builds_build'", [])
        plain_sql.change(_RAISE["sqlite"], [most])
    else:
        plain_sql.rows(_RAISE[connection.vendor], [most])
    step.note(Batch(), [most])
    return most


def _check_same(original: Original, progress: Progress) -> None:
    """Raise NotReadable if the last build that was taken is another one there."""
    cursor = progress.step("builds").cursor
    last = Build.objects.filter(pk__lte=int(cursor[0])).order_by("-pk").first() if cursor else None
    if last is None:
        return
    sql = "SELECT package, version FROM builds WHERE build_id = %s"
    found = original.page(sql, [last.pk])
    # A build that was deleted there since proves nothing.
    if found and found[0] != (last.version.package.name, last.version.number):
        raise NotReadable(
            f"Build {last.pk} was of {last.version} when it was imported and is of {' '.join(found[0])} in"
            " this database: name the database of the farm that was begun with."
        )
