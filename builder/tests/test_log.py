import pytest

from builder.contract import LOG_LIMIT
from builder.log import Log


@pytest.fixture
def log(tmp_path):
    with Log(tmp_path) as log:
        yield log


def test_a_log_can_be_read_while_it_grows(log):
    log.write(b"one ")
    assert log.read(0, 100) == b"one "

    log.note("two")

    assert log.read(4, 100) == b"[piwheels: two]\n"
    assert log.size == 20


def test_a_log_has_no_name(log, tmp_path):
    log.write(b"one")

    assert list(tmp_path.iterdir()) == []


def test_a_log_that_is_too_long_keeps_its_beginning_and_its_end(log):
    log.write(b"first\n")
    for _ in range(200):
        log.write(b"flood " * 20_000)
    log.note("the last word")
    log.end()

    text = log.read(0, 2 * LOG_LIMIT)
    assert text.startswith(b"first\nflood flood")
    assert text.endswith(b"flood [piwheels: the last word]\n")
    assert text.count(b"[piwheels: the log is too long; what follows is its end]\n") == 1
    assert LOG_LIMIT - (1 << 16) < log.size == len(text) <= LOG_LIMIT


def test_a_long_log_grows_no_more_until_it_ends(log):
    log.write(b"x" * LOG_LIMIT)
    size = log.size

    log.write(b"y" * LOG_LIMIT)

    assert log.size == size
    assert b"y" not in log.read(0, LOG_LIMIT)
