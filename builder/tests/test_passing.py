import time
from pathlib import Path

import pytest

from builder import file_cache, passing
from builder.account import Account, Allowance
from builder.passing import Passing
from builder.proxy_http import Broken
from builder.tests.asking import digest
from builder.upstream import UpstreamFailed

URL = "https://example.org/tiny-1.0.zip"


def cut_off():
    """Blocks of an upstream that hangs up after the second."""
    yield b"one"
    yield b"two"
    raise UpstreamFailed("The connection was cut.")


def read(account, blocks, *, sha256="", pause_s=0.0):
    """Read a file as a build does that takes so long over each block."""
    for _ in Passing(account, None)._checked(URL, blocks, sha256, lambda found, size: None):
        time.sleep(pause_s)


def test_an_upstream_that_hangs_up_has_failed():
    account = Account(Allowance())

    with pytest.raises(Broken, match="cut"):
        read(account, cut_off())

    assert account.failed
    assert account.complaints == ("The connection was cut.",)


def test_an_upstream_that_a_build_kept_waiting_has_not_failed(monkeypatch):
    monkeypatch.setattr(passing, "_SLOW_S", 0.05)
    account = Account(Allowance())

    with pytest.raises(Broken, match="cut"):
        read(account, cut_off(), pause_s=0.1)

    assert not account.failed


def test_other_bytes_than_were_promised_are_upstreams_failure_however_slowly_they_are_read(monkeypatch):
    monkeypatch.setattr(passing, "_SLOW_S", 0.05)
    account = Account(Allowance())

    with pytest.raises(Broken, match="its page said"):
        read(account, [b"one", b"two"], sha256=digest(b"three"), pause_s=0.1)

    assert account.failed


def test_a_kept_file_that_cannot_be_read_to_its_end_is_not_the_builds_failure():
    account = Account(Allowance())

    with Path("/proc/self/mem").open("rb") as bad, pytest.raises(Broken, match="cannot be read"):
        read(account, file_cache.read(bad))

    assert account.failed
    assert account.complaints == ("A file that was kept cannot be read: [Errno 5] Input/output error.",)
