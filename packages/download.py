"""Downloads a file that upstream lists, and believes it only if its bytes are those it was listed with."""

import hashlib
from collections.abc import Callable
from typing import BinaryIO

from packages import fetch
from packages.fetch import UpstreamUnavailable


def download(
    session: fetch.Session,
    url: str,
    into: BinaryIO,
    *,
    sha256: str,
    limit: int,
    seconds: float,
    pulse: Callable[[], None] = lambda: None,
) -> int:
    """Write a file, and return its size; raises UpstreamUnavailable also where its bytes are others.

    What was written until then is rubbish.  `pulse` is called after each piece, and may end it by raising
    what it likes.
    """
    digest, size = hashlib.sha256(), 0
    with fetch.ask(session, url, "*/*") as response:
        if response is None:
            raise UpstreamUnavailable(f"There is no {url}.")
        for chunk in fetch.chunks(response, limit, seconds):
            into.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            pulse()
    if digest.hexdigest() != sha256:
        raise UpstreamUnavailable(f"{url} has other bytes than it was listed with.")
    return size
