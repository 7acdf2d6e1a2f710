"""Asks strangers' servers: no further than a redirect may lead, and no longer than somebody wants the answer.

What a timeout of requests bounds is each wait for the next byte.  A server that gives a byte a minute, of a
head, of a chunk's size or of a body, is within it for days; so we look before each read from the network.
"""

import io
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPResponse
from socket import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from builder.simple_page import absolute

# Raises what ends an answer that is not wanted any more; is told before each read, and then how long it took.
Look = Callable[[float], None]

_REDIRECTS = 5


class BadRedirect(Exception):
    """An answer leads to where one may not go; the text says how the URL's sentence ends."""


class Session(requests.Session):
    """Leaves redirects to us: the library would read their bodies, however long, and go anywhere."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(look))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that there is none."""

    def ask(self, url: str, headers: Mapping[str, str], timeout_s: tuple[float, float]) -> requests.Response:
        """Return the answer of where a URL leads to, its body unread.

        Raises BadRedirect, what `look` raises, or what requests does.
        """
        target = url
        for _ in range(_REDIRECTS + 1):
            answer = self.get(target, headers=headers, stream=True, timeout=timeout_s, allow_redirects=False)
            target = self._target(target, answer)
            if not target:
                return answer
            answer.close()
        raise BadRedirect(f"redirects more than {_REDIRECTS} times")

    def _target(self, url: str, answer: requests.Response) -> str:
        """Return where an answer leads to, "" for one that is the last; raises BadRedirect, and closes it."""
        try:
            location = super().get_redirect_target(answer)
        except ValueError:
            # It is no text.
            location = ""
        if location is None:
            return ""
        if not (target := absolute(url, location)):
            answer.close()
            raise BadRedirect("redirects to where nothing is fetched from")
        return target


class _Adapter(HTTPAdapter):
    """Makes connections whose answers are looked after."""

    def __init__(self, look: Look) -> None:
        self._look = look
        super().__init__()

    # Any: the library asks this of itself alone.
    def get_connection_with_tls_context(self, *arguments: Any, **words: Any) -> Any:
        """Return the connections to a server, also those through a proxy."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **words)
        if "ConnectionCls" not in vars(pool):
            kind = pool.ConnectionCls
            answer = staticmethod(partial(_Answer, self._look))
            pool.ConnectionCls = type(kind.__name__, (kind,), {"response_class": answer})
        return pool


class _Answer(HTTPResponse):
    """An answer that is looked after from the first byte of its head."""

    def __init__(
        self, look: Look, sock: socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp = io.BufferedReader(_Reads(self.fp.detach(), look))


class _Reads(io.RawIOBase):
    """The reads from the network for one answer."""

    def __init__(self, network: io.RawIOBase, look: Look) -> None:
        self._network = network
        self._look = look

    def readable(self) -> bool:
        """Say that this is to be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:  # Any: as the library has it
        """Read what is there, if somebody still wants it."""
        self._look(0.0)
        began = time.monotonic()
        try:
            return self._network.readinto(buffer)
        finally:
            # Also when nothing came in the time that a read may take.
            self._look(time.monotonic() - began)

    def close(self) -> None:
        """Let go of the connection."""
        super().close()
        self._network.close()
