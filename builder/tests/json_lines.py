"""The lines of a logger as JSON, for tests."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from builder.log_lines import JsonFormatter


class _Kept(logging.Handler):
    """Keeps each line, as it would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@contextmanager
def json_lines(logger: logging.Logger) -> Iterator[list[dict[str, Any]]]:
    """Give the list to which the logger's lines come meanwhile."""
    handler = _Kept()
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
