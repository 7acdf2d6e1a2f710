"""Reads JSON that may be anything: what is not as it must be is Nonsense, and every text is clean."""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from monitor.text import clean


class Nonsense(ValueError):
    """What came is not what the API says; the text names the field."""


class Record:
    """An object of JSON, asked field by field."""

    def __init__(self, content: object, where: str) -> None:
        """Take what should be an object; raises Nonsense."""
        if not isinstance(content, Mapping):
            raise Nonsense(f"{where} is no object")
        self._content: Mapping[str, Any] = content  # Any: JSON, which is looked at below
        self._where = where

    def text(self, name: str) -> str:
        """Return a text, cleaned; null is none."""
        return clean(self._of(name, str) or "")

    def flag(self, name: str) -> bool:
        """Return a yes or no."""
        return bool(self._of(name, bool))

    def number(self, name: str) -> float:
        """Return a number."""
        value = self.maybe(name)
        if value is None:
            raise Nonsense(f"{self._where}.{name} is no number")
        return value

    def count(self, name: str) -> int:
        """Return a number of things."""
        return int(self.number(name))

    def maybe(self, name: str) -> float | None:
        """Return a number that may be missing."""
        value = self._of(name, int, float)
        if value is None:
            return None
        if isinstance(value, bool) or abs(value) > 1e18 or not math.isfinite(value):
            raise Nonsense(f"{self._where}.{name} is no number")
        return float(value)

    def moment(self, name: str) -> datetime | None:
        """Return a time that may be missing."""
        value = self._of(name, str)
        if value is None:
            return None
        try:
            found = datetime.fromisoformat(value)
        except ValueError as error:
            raise Nonsense(f"{self._where}.{name} is no time") from error
        if found.tzinfo is None:
            raise Nonsense(f"{self._where}.{name} has no time zone")
        return found

    def record(self, name: str) -> "Record":
        """Return an object in it."""
        return Record(self._content.get(name), f"{self._where}.{name}")

    def maybe_record(self, name: str) -> "Record | None":
        """Return an object in it that may be missing."""
        return None if self._content.get(name) is None else self.record(name)

    def records(self, name: str) -> "list[Record]":
        """Return the objects of a list in it."""
        found = self._of(name, list)
        if found is None:
            raise Nonsense(f"{self._where}.{name} is no list")
        return [Record(each, f"{self._where}.{name}[{number}]") for number, each in enumerate(found)]

    def texts(self, name: str) -> list[str]:
        """Return the texts of a list in it."""
        return [clean(each) for each in self._of(name, list) or () if isinstance(each, str)]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield names and texts."""
        yield from ((clean(name), self.text(name)) for name in self._content)

    def _of(self, name: str, *kinds: type) -> Any:  # Any: one of those kinds, or None
        """Return a value if it is of one of those kinds, None for null."""
        if name not in self._content:
            raise Nonsense(f"{self._where}.{name} is missing")
        value = self._content[name]
        if value is not None and not isinstance(value, kinds):
            raise Nonsense(f"{self._where}.{name} is not of its type")
        return value


def read(body: bytes, where: str) -> Record:
    """Return the object in a JSON body; raises Nonsense."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Nonsense(f"{where}: no JSON") from error
    return Record(content, where)
