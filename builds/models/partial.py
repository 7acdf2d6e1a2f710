"""Rows of which `statements` read the columns that a request needs, and no others."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, models

from builds import statements
from builds.models.target import Target

_Row = TypeVar("_Row", bound=models.Model)


def partial_row(model: type[_Row], columns: Sequence[str], values: Iterator[Any]) -> _Row:
    """Return a row of which the next values are these columns, which are in the order of the model's fields.

    Whoever wants another column makes Django read it.
    """
    return model.from_db(DEFAULT_DB_ALIAS, columns, list(islice(values, len(columns))))


def partial_target(values: Iterator[Any]) -> Target:
    """Return a target; JSON comes as text from either database."""
    target = partial_row(Target, statements.TARGET, values)
    target.platform_tags = json.loads(target.platform_tags)
    return target


def moment(value: datetime | None) -> datetime | None:
    """Return a time with its zone, which SQLite does not keep."""
    return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value
