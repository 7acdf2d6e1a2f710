"""Gives rows a page at a time, by their keys, however many there are and whatever comes meanwhile.

A page goes on behind the key that the page before it ended with, so that whoever reads all pages has each row
that was there all the time once, and none twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Max, Min, Model, QuerySet

# A page of what is rare looks at no more keys than this, and is then shorter than it could be.
SPAN = 20_000

# As many are read at once by whoever goes through all of them.
PAGE = 2000

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Some(Generic[M]):
    """Some rows, and below which key the next ones are; None: there are no more."""

    rows: list[M]
    after: int | None


def newest_first(rows: QuerySet[M], after: int | None, limit: int) -> Some[M]:
    """Return the rows below a key, out of any number: two queries, and three where a page is not full."""
    everything = rows.model._default_manager
    top = after if after is not None else 1 + (everything.aggregate(last=Max("pk"))["last"] or 0)
    low = top - SPAN
    found = list(rows.filter(pk__lt=top, pk__gte=low).order_by("-pk")[: limit + 1])
    if len(found) > limit:
        return Some(found[:limit], found[limit - 1].pk)
    first: int = everything.aggregate(first=Min("pk"))["first"] or top
    return Some(found, low if low > first else None)


def newest_of_few(rows: QuerySet[M], after: int | None, limit: int) -> Some[M]:
    """Return the same of thousands of rows, to which an index leads: two queries.

    Asked for the first ones in the order of keys, PostgreSQL may read a table of millions from its end.
    """
    keys = rows.order_by().values_list("pk", flat=True)
    found = sorted((key for key in keys if after is None or key < after), reverse=True)[: limit + 1]
    shown = list(rows.filter(pk__in=found[:limit]).order_by("-pk"))
    return Some(shown, found[limit - 1] if len(found) > limit else None)


def each(rows: QuerySet[M], *fields: str) -> Iterator[tuple[Any, ...]]:  # Any: what the fields have
    """Give the key of each row, and these fields of it, in the order of keys.

    Between two pages nothing is open at the database, so that whoever gets them may write meanwhile: on
    SQLite who has not read to the end what others have changed since is told "database is locked" at once.
    """
    page = list(rows.order_by("pk").values_list("pk", *fields)[:PAGE])
    while page:
        yield from page
        page = list(rows.order_by("pk").filter(pk__gt=page[-1][0]).values_list("pk", *fields)[:PAGE])


def keys(rows: QuerySet[M]) -> Iterator[int]:
    """Give the key of each row in the same way."""
    return (key for (key,) in each(rows))
