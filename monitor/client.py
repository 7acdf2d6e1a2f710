"""Asks a farm's API: looks, and says what is wanted of builders; whatever goes wrong is NoAnswer."""

import time
from collections.abc import Sequence
from itertools import islice
from types import TracebackType
from typing import Self

import requests

from monitor.farm import Farm, farm
from monitor.record import Nonsense, Record, read
from monitor.text import clean

_API = "/api/v1"
# A farm of a thousand builders says less, in bytes; more is never read.
_MOST = 8 << 20
# For a connection, and for the next bytes of an answer, in seconds.
_PATIENCE_S = (10, 20)
# As many builders as the API takes at a time.
_MOST_BUILDERS = 1000
# Nobody is sent away for longer than this, in seconds.
_LONGEST_WAIT_S = 600.0
# A token that was refused is hardly ever good again, and each try is in the farm's log.
_REFUSED_S = 600.0


class NoAnswer(Exception):
    """There is nothing to show; the text says why, in a sentence."""

    def __init__(self, said: str, wait_s: float | None = None) -> None:
        super().__init__(said)
        self.wait_s = wait_s  # for so long the farm wants to be left alone


class Refused(NoAnswer):
    """The farm answers, and what was asked is not for this token; the text says why."""


class Client:
    """One farm, and the token that opens the operators' part of its API, if there is one."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address.rstrip("/")
        self.has_token = bool(token)
        self._token = token
        self._refused, self._again_at = "", 0.0
        self._session = requests.Session()
        # No .netrc: its password would take the token's place.
        self._session.trust_env = False
        self._session.headers["User-Agent"] = "piwheels-monitor"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def look(self) -> Farm:
        """Return the farm as it is now; raises NoAnswer."""
        found, queues = self._ask("GET", "/farm"), self._ask("GET", "/queue")
        operators = self._operators() if self.has_token else None
        try:
            return farm(found, queues, operators, self._refused)
        except Nonsense as error:
            raise _other(str(error)) from error

    def _operators(self) -> Record | None:
        """Return what the token opens, None for a while once it was refused: all others may look on."""
        if time.monotonic() < self._again_at:
            return None
        try:
            found = self._ask("GET", "/operators/farm")
        except Refused as problem:
            self._refused, self._again_at = str(problem), time.monotonic() + _REFUSED_S
            return None
        self._refused = ""
        return found

    def act(self, deed: str, names: Sequence[str], reason: str) -> str:
        """Say what is wanted of these builders; return what came of it; raises NoAnswer."""
        said, rest = [], iter(names)
        while some := list(islice(rest, _MOST_BUILDERS)):
            sent = {"deed": deed, "builders": some, "reason": reason}
            answer = self._ask("POST", "/operators/builders", sent)
            try:
                said.append(answer.text("said"))
            except Nonsense as error:
                raise _other(str(error)) from error
        return " ".join(said)

    def _ask(self, method: str, path: str, sent: object = None) -> Record:
        """Return the object that an address answers with; raises NoAnswer."""
        headers = {"Authorization": f"Bearer {self._token}"} if path.startswith("/operators/") else {}
        try:
            # A redirect may lead anywhere, and a token goes nowhere else.
            with self._session.request(
                method,
                f"{self._address}{_API}{path}",
                json=sent,
                headers=headers,
                timeout=_PATIENCE_S,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = _body(answer)
                if answer.status_code != 200:
                    raise _refusal(answer, body)
                return read(body, path.lstrip("/"))
        except Nonsense as error:
            raise _other(str(error)) from error
        except requests.exceptions.SSLError as error:
            raise NoAnswer("The farm's certificate is not good for this address.") from error
        except requests.RequestException as error:
            raise NoAnswer(f"The farm cannot be reached ({type(error).__name__}).") from error


def _body(answer: requests.Response) -> bytes:
    """Return what was answered; raises NoAnswer if that is too much."""
    found = b""
    for piece in answer.iter_content(64 << 10):
        found += piece
        if len(found) > _MOST:
            raise NoAnswer("The farm's answer is larger than any farm's: is this the right address?")
    return found


def _other(what: str) -> NoAnswer:
    return NoAnswer(f"The farm answered something else than this monitor reads: {clean(what, 200)}.")


def _refusal(answer: requests.Response, body: bytes) -> NoAnswer:
    """Return why there is nothing else, as the farm says it if it does."""
    if answer.is_redirect:
        return NoAnswer(f"The farm is at {clean(answer.headers['Location'], 200)}: give that address.")
    try:
        problem = read(body, "problem")
        said = f"{problem.text('error')} {problem.text('what_to_do')}"
    except Nonsense:
        said = f"The farm answered with status {answer.status_code}."
    kind = Refused if answer.status_code in (401, 403) else NoAnswer
    return kind(clean(said), _wait_s(answer.headers.get("Retry-After", "")))


def _wait_s(text: str) -> float | None:
    """Return for how long the farm wants to be left alone."""
    return (
        min(float(text), _LONGEST_WAIT_S) if text.isascii() and text.isdecimal() and len(text) < 10 else None
    )
