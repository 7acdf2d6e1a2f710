"""Keeps a build's lease: says every few seconds that it goes on, and sends its log as it grows.

The answer is also how a build learns that it was called off, so a silent one beats as often as others.
"""

import logging
from contextvars import copy_context
from functools import partial
from threading import Event, Thread
from types import TracebackType
from typing import Self

from builder.client import Client, DeadTicket, Refused, Unreachable
from builder.contract import ATTACHED_LIMIT, LOG_CHUNK, LOG_LIMIT, BuildOrder
from builder.log import Log

logger = logging.getLogger(__name__)

# How long the last bytes are worth waiting for: the build itself is worth more, and waits behind them.
_REST_S = 120.0
# The most of a log that comes with the report, in bytes; what a wheel may take is the other half.
MOST_REST = ATTACHED_LIMIT // 2


class Heartbeats:
    """A thread that speaks for a build; `dead` is set when the server wants to hear no more of it."""

    # How soon a build that was called off ends, at the latest, and what it prints is with the server; the
    # other while somebody looks at it there.
    INTERVAL_S = 3.0
    WATCHED_S = 1.0

    def __init__(self, order: BuildOrder, log: Log, client: Client) -> None:
        """Take a client that no other thread uses."""
        self.dead = Event()
        self._order = order
        self._log = log
        self._client = client
        self._offset = 0
        self._interval_s = min(self.INTERVAL_S, order.heartbeat_s)
        self._ended = Event()
        # What it logs is about the same build.
        run = partial(copy_context().run, self._run)
        self._thread = Thread(target=run, name=f"heartbeats of build {order.build}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def rest(self) -> tuple[int, bytes]:
        """Return what the server has not got of the log, and where that begins; once the thread has ended.

        What would be too much for a report is sent before.
        """
        # Bounded, as a server that always says "zero" would keep us here.
        for _ in range(2 * LOG_LIMIT // LOG_CHUNK):
            if self._log.size - self._offset <= MOST_REST:
                break
            try:
                self._beat(_REST_S)
            except (Unreachable, Refused) as fault:
                logger.warning("The end of the log of build %s is lost: %s", self._order.build, fault)
                return self._offset, b""
        return self._offset, self._log.read(self._offset, MOST_REST)

    def _run(self) -> None:
        """Beat until the build ends."""
        while not self._ended.wait(self._interval_s):
            try:
                self._beat()
            except DeadTicket as death:
                logger.warning("Build %s is stopped: %s", self._order.build, death)
                self.dead.set()
                return
            except (Unreachable, Refused) as fault:
                # The lease is long enough for many more tries.
                logger.warning("A heartbeat of build %s failed: %s", self._order.build, fault)
            except Exception:
                # Of a disk with faults, or of ours: hours of a build are not to be lost for it.
                logger.exception("A heartbeat of build %s failed; the next one is tried.", self._order.build)

    def _beat(self, patience_s: float = 0.0) -> None:
        """Send the next piece of the log, which may be none."""
        chunk = self._log.read(self._offset, LOG_CHUNK)
        answer = self._client.heartbeat(self._order, self._offset, chunk, patience_s=patience_s)
        self._offset = max(answer.log_size, 0)
        interval_s = self.WATCHED_S if answer.is_watched else self.INTERVAL_S
        self._interval_s = min(interval_s, self._order.heartbeat_s)
