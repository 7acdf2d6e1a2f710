"""Talks to the server as `builder.contract` describes: hello, claim, heartbeat, wheel, report.

Faults that pass (no connection, 5xx, 429) are tried again after growing pauses; an answer that says no is
final.  A client belongs to one thread, as a requests.Session does.
"""

import logging
import math
import socket
import time
from collections.abc import Iterator, Mapping
from io import BytesIO
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection

from builder.contract import (
    API,
    BadMessage,
    BuilderFacts,
    BuildOrder,
    BuildReport,
    Heartbeat,
    Message,
    Verdict,
    Welcome,
    decode,
    encode,
)
from builder.settings import Settings

logger = logging.getLogger(__name__)

# Seconds to connect, or to send a block of a few KiB; and to wait for an answer's next byte.
_TIMEOUT = (10, 60)
# What the kernel may take that is not sent yet.  Its own choice grows to 4 MiB, with which a line of
# 256 kbit/s is busy for longer than we wait for the answer.
_UNSENT = 128 << 10
# The most that one request brings of a wheel.  A cut costs as much at most, and the heartbeats of a slow
# uplink get through in between.
_UPLOAD_CHUNK = 4 << 20
# The server waits 300 s for a claim; later it has rung again or given the build to another builder.
_CLAIM_S = 120.0
_LONGEST_PAUSE_S = 30.0
# A try of which no answer comes may have renewed the lease all the same.
_BEYOND_LEASE_S = 60.0
# "Locked": a request of ours that was cut still holds the file.  "Too early" and "Too many" speak of time.
_PASSING = frozenset({408, 423, 425, 429})


class LostClaim(Exception):
    """The build is not ours to have: drop the order."""


class DeadTicket(Exception):
    """The attempt is over for the server: stop it and send nothing more."""


class Unreachable(Exception):
    """The server could not be asked for too long; the network or the server needs a look."""


class NoRoom(Unreachable):
    """The server's disk is full.  It keeps the build for us as long as we ask, so nobody loses patience."""


class Refused(Exception):
    """The server said no; the text is its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Bearer(AuthBase):
    """Sends a token or ticket; as an object of its own, so that no .netrc takes its place."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.secret}"
        return request


class _SlowLines(HTTPAdapter):
    """Connects in such a way that what was given to the kernel is soon sent."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Set the size of the kernel's buffer, which counts for nothing with a fast server nearby."""
        buffer = (socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)
        socket_options = [*HTTPConnection.default_socket_options, buffer]
        super().init_poolmanager(*arguments, socket_options=socket_options, **options)


class Client:
    """One thread's connection to the server."""

    def __init__(
        self, settings: Settings, *, patience_s: float = math.inf, first_pause_s: float = 1.0
    ) -> None:
        """Try what cannot wait for another time for as long as it is of use, and at most for `patience_s`.

        Of a build that is for as long as its lease may live; when that is over the server has given it away,
        and says so to whoever reaches it.
        """
        self._root = settings.server + API.lstrip("/")
        self._token = _Bearer(settings.token)
        self._patience_s = patience_s
        self._first_pause_s = first_pause_s
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _SlowLines())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def hello(self, facts: BuilderFacts) -> Welcome:
        """Say that this builder is there; tried once, as the next hello comes soon."""
        return self._read(Welcome, self._ask_once("POST", "hello", self._token, body=encode(facts)))

    def claim(self, build: int, attempt: int) -> BuildOrder:
        """Ask for the order that a ring announced; raises LostClaim when it is not ours."""
        path = f"builds/{build}/{attempt}/claim"
        try:
            answer = self._ask("POST", path, self._token, patience_s=min(_CLAIM_S, self._patience_s))
        except Refused as refused:
            if refused.status in (404, 409):
                raise LostClaim(str(refused)) from refused
            raise
        return self._read(BuildOrder, answer)

    def heartbeat(
        self, order: BuildOrder, offset: int, chunk: bytes, *, patience_s: float = 0.0
    ) -> Heartbeat:
        """Say that a build goes on, with the log's bytes from `offset` on."""
        path = f"builds/{order.build}/heartbeat?log={offset}"
        answer = self._ask_for_build(order, "POST", path, body=chunk, patience_s=patience_s)
        return self._read(Heartbeat, answer)

    def upload(self, order: BuildOrder, filename: str, file: BinaryIO, *, size: int, sha256: str) -> None:
        """Send a wheel; after a cut, go on from where the server says it stopped."""
        path = f"builds/{order.build}/wheels/{quote(filename)}"
        headers = {"Upload-Length": str(size), "Upload-Sha256": sha256}
        offset = 0
        was_cut = False
        pauses = self._pauses()
        patience_s = self._patience_for(order)
        deadline = time.monotonic() + patience_s
        while offset < size:
            file.seek(offset)
            try:
                arrived = self._append(order, path, headers, offset=offset, chunk=file.read(_UPLOAD_CHUNK))
            except (Unreachable, Refused) as fault:
                # 400 says that the offset does not fit; after a cut, bytes were still on their way.
                passes = isinstance(fault, Unreachable) or (was_cut and fault.status == 400)
                if isinstance(fault, NoRoom):
                    deadline = time.monotonic() + patience_s
                if not passes or time.monotonic() > deadline:
                    raise
                logger.warning("Uploading %s stopped at byte %s: %s", filename, offset, fault)
                was_cut = True
                time.sleep(next(pauses))
                arrived = self._arrived(order, path, headers)
            if arrived > offset:
                pauses = self._pauses()
                deadline = time.monotonic() + patience_s
            offset = arrived

    def report(
        self, order: BuildOrder, report: BuildReport, behind: bytes = b"", *, wants_next: bool = False
    ) -> Verdict:
        """Say how a build ended, and return what the server made of it.

        `behind` is what the report says that it brings; the next order comes with the answer if it is wanted
        and there is one.
        """
        body = encode(report)
        headers = {"Report-Length": str(len(body))}
        if wants_next:
            headers["Next-For"] = self._token.secret
        answer = self._ask_for_build(
            order,
            "POST",
            f"builds/{order.build}/report",
            body=body + behind,
            headers=headers,
            patience_s=self._patience_for(order),
            accept=422,
        )
        return self._read(Verdict, answer)

    def _append(
        self, order: BuildOrder, path: str, headers: Mapping[str, str], *, offset: int, chunk: bytes
    ) -> int:
        """Send one chunk of a wheel; return how far the server has it now."""
        headers = {**headers, "Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
        arrived = _offset(self._ask_for_build(order, "PATCH", path, body=chunk, headers=headers))
        if arrived <= offset:
            raise Unreachable("The server took nothing of what was sent.")
        return arrived

    def _arrived(self, order: BuildOrder, path: str, headers: Mapping[str, str]) -> int:
        """Return how many bytes of a wheel the server has."""
        patience_s = self._patience_for(order)
        return _offset(self._ask_for_build(order, "HEAD", path, headers=headers, patience_s=patience_s))

    def _patience_for(self, order: BuildOrder) -> float:
        """Return for how long a build's server is worth waiting for, in seconds."""
        return min(order.lease_s + _BEYOND_LEASE_S, self._patience_s)

    def _ask_for_build(
        self,
        order: BuildOrder,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        patience_s: float = 0.0,
        accept: int = 200,
    ) -> requests.Response:
        """Ask with an order's ticket; raises DeadTicket when the server knows it no more."""
        try:
            return self._ask(
                method,
                path,
                _Bearer(order.ticket),
                body=body,
                headers=headers,
                patience_s=patience_s,
                accept=accept,
            )
        except Refused as refused:
            if refused.status in (404, 409):
                raise DeadTicket(str(refused)) from refused
            raise

    def _ask(
        self,
        method: str,
        path: str,
        auth: AuthBase,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        patience_s: float = 0.0,
        accept: int = 200,
    ) -> requests.Response:
        """Ask until there is an answer, or patience ends; raises Unreachable or Refused."""
        deadline = time.monotonic() + patience_s
        for pause in self._pauses():
            try:
                return self._ask_once(method, path, auth, body=body, headers=headers, accept=accept)
            except Unreachable as fault:
                if isinstance(fault, NoRoom):
                    deadline = time.monotonic() + patience_s
                if time.monotonic() + pause > deadline:
                    raise
                logger.warning("%s Trying again in %.0f s.", fault, pause)
            time.sleep(pause)
        raise AssertionError("pauses never end")

    def _ask_once(
        self,
        method: str,
        path: str,
        auth: AuthBase,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        accept: int = 200,
    ) -> requests.Response:
        """Ask and return an answer with one of two statuses that mean yes; raises Unreachable or Refused."""
        try:
            answer = self._session.request(
                method,
                self._root + path,
                # Bytes are sent in one go, for all of which one timeout counts; a file is, block by block.
                data=BytesIO(body) if body else None,
                headers=headers,
                auth=auth,
                timeout=_TIMEOUT,
                # A redirected POST becomes a GET; who moved the server must correct PIWHEELS_SERVER.
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise Unreachable(f"The server cannot be reached: {error}.") from error
        if answer.status_code == 507:
            raise NoRoom(f"The server has no room: {_reason(answer)}")
        if answer.status_code >= 500 or answer.status_code in _PASSING:
            raise Unreachable(f"The server answered {answer.status_code}: {_reason(answer)}")
        if answer.status_code not in (200, 204, accept):
            raise Refused(answer.status_code, _reason(answer))
        return answer

    def _pauses(self) -> Iterator[float]:
        """Yield growing pauses, for ever."""
        pause = self._first_pause_s
        while True:
            yield pause
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    @staticmethod
    def _read(kind: type[Message], answer: requests.Response) -> Message:
        """Return the message in an answer; raises Refused when it is none, as from a captive portal."""
        try:
            return decode(kind, answer.content)
        except BadMessage as error:
            raise Refused(answer.status_code, f"The server's answer is not understood: {error}") from error


def _offset(answer: requests.Response) -> int:
    """Return the offset in an answer."""
    value = answer.headers.get("Upload-Offset", "")
    if not value.isdecimal():
        raise Refused(answer.status_code, "The server did not say how many bytes it has.")
    return int(value)


def _reason(answer: requests.Response) -> str:
    """Return what an error's body says is wrong."""
    if 300 <= answer.status_code < 400:
        return (
            f"The server has moved to {answer.headers.get('Location', 'nowhere')}: correct PIWHEELS_SERVER."
        )
    try:
        return str(answer.json()["error"])[:1000]
    except (ValueError, KeyError, TypeError):
        return answer.reason or "no reason given"
