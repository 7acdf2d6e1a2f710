"""What a line of our processes' log is about, and such a line as JSON, so that a build can be followed.

The fields are those of whatever is going on: `request`, `task`, `build`, `attempt`, `builder`.  The server
and its builders share this module, so one search finds a build's lines wherever they are written.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

_NOTHING: Mapping[str, object] = MappingProxyType({})
_fields: ContextVar[Mapping[str, object]] = ContextVar("fields", default=_NOTHING)


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Have all lines that are logged meanwhile, by this thread, be about these things, too."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def value_of(field: str) -> str:
    """Return what this thread's lines say in a field; empty if nothing."""
    return str(_fields.get().get(field, ""))


class JsonFormatter(logging.Formatter):
    """Makes one line of JSON of each record, with what it is about."""

    def __init__(self, **always: object) -> None:
        """Take what all lines are about."""
        super().__init__()
        self._always = always

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._always,
            **_fields.get(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)
