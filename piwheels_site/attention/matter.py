"""A matter: one thing that a person has to decide, and where."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse


@dataclass(frozen=True)
class Matter:
    """One thing that a person has to decide."""

    key: str  # the same as long as it is the same matter, as "builder-silent:pi-07"
    said: str
    since: datetime | None  # None: nobody can tell
    url: str  # where it is decided
    deed: str  # what can be done there, in a word or two
    is_urgent: bool = False  # the farm, or a part of it, stands still


# Gives what needs a decision, as it is now.
Look = Callable[[datetime], Iterable[Matter]]


def admin_list(page: str, **query: object) -> str:
    """Return the address of a list of the operators', with what it is to show."""
    name = reverse(f"admin:{page}_changelist")
    return f"{name}?{urlencode(query)}" if query else name
