"""Who did what: one row for each deed of an operator's, in the admin or on the command line.

The rows are those of Django's admin (`django.contrib.admin.models.LogEntry`), which has one for whatever a
form adds, changes and deletes anyway.  A deed of a list has one too, however many rows it was done to; its
text is "action: what came of it. Reason: ...".  What takes many steps is noted before the first, so that it
is on record even if it is cut short; what came of it is added at its end.  Who types commands has no account
here: their deeds are those of the user `system`, and the text says who that was on the machine.  Nothing else
is changed or removed: the admin shows the list to read, and deletes no account, which would take its rows
along.
"""

import getpass
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

# Whose deeds those of the command line are; nobody can sign in as it.
SYSTEM = "system"
# What is said of a deed until it is over, and for ever if it is cut short.
UNFINISHED = "Begun, and not done to its end."
# So many of the things that a deed was done to are named; the rest is counted.
NAMED = 10
# What a row of Django's has room for.
_REPR = 200


class Told:
    """What came of a deed; who does it says so at its end."""

    said = UNFINISHED


def who() -> str:
    """Return who types commands on this machine: who said sudo, if somebody did."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def note(
    by: int | None, action: str, rows: Sequence[Model], *, model: type[Model], said: str, reason: str = ""
) -> None:
    """Note a deed: who did which action to which rows, what came of it, and why."""
    _write(by, action, rows, model, _text(action, said, reason))


def note_command(
    action: str, rows: Sequence[Model], *, model: type[Model], said: str, reason: str = ""
) -> None:
    """Note a deed of whoever types commands on the server."""
    note(_system().pk, action, rows, model=model, said=f"{said} {_typed()}", reason=reason)


@contextmanager
def noting(
    by: int | None,
    action: str,
    rows: Sequence[Model],
    *,
    model: type[Model],
    reason: str = "",
    typed: str = "",
) -> Iterator[Told]:
    """Note a deed that takes many steps before the first of them, and what came of it after the last."""
    told = Told()
    entry = _write(by, action, rows, model, _text(action, told.said + typed, reason))
    yield told
    text = _text(action, told.said + typed, reason)
    LogEntry.objects.filter(pk=entry.pk).update(change_message=text)


@contextmanager
def noting_command(
    action: str, rows: Sequence[Model], *, model: type[Model], reason: str = ""
) -> Iterator[Told]:
    """Note such a deed of whoever types commands on the server."""
    with noting(_system().pk, action, rows, model=model, reason=reason, typed=f" {_typed()}") as told:
        yield told


def _typed() -> str:
    """Say who types commands."""
    return f"({who()} on the command line.)"


def _text(action: str, said: str, reason: str) -> str:
    """Return what a row says."""
    why = f" Reason: {reason.strip()}" if reason.strip() else ""
    return f"{action}: {said}{why}"


def _write(by: int | None, action: str, rows: Sequence[Model], model: type[Model], text: str) -> LogEntry:
    """Write a row."""
    if by is None:
        raise PermissionError(f"Nobody is signed in who could {action}.")
    entry: LogEntry = LogEntry.objects.create(
        user_id=by,
        content_type=ContentType.objects.get_for_model(model),
        object_id=str(rows[0].pk) if len(rows) == 1 else None,
        object_repr=_named(rows)[:_REPR],
        action_flag=CHANGE,
        change_message=text,
    )
    return entry


def action_of(entry: LogEntry) -> str:
    """Return what a row is about, in a word or two."""
    if entry.is_addition():
        return "Added"
    if entry.is_deletion():
        return "Deleted"
    action, colon, _ = entry.change_message.partition(": ")
    return action if colon and not entry.change_message.startswith("[") else "Changed"


def said_of(entry: LogEntry) -> str:
    """Return the rest: what came of it, and why."""
    text = entry.get_change_message()
    action, colon, said = text.partition(": ")
    return said if colon and action == action_of(entry) else text


def _named(rows: Sequence[Model]) -> str:
    """Return the first of the things that a deed was done to, and how many more there are."""
    more = f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
    return ", ".join(str(row) for row in rows[:NAMED]) + more


def _system() -> User:
    """Return the account of the command line."""
    return User.objects.get_or_create(
        username=SYSTEM, defaults={"is_active": False, "password": "!", "first_name": "command line"}
    )[0]
