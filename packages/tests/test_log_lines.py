import json
import logging
import sys
from threading import Thread

import pytest

from packages.log_lines import JsonFormatter, about


@pytest.fixture
def log():
    """A logger whose lines are kept."""
    lines = []

    class Kept(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(self.format(record)))

    handler = Kept()
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("test.log-lines")
    logger.addHandler(handler)
    logger.lines = lines
    yield logger
    logger.removeHandler(handler)


def test_a_line_has_what_it_is_about_and_no_more_when_that_is_over(log):
    with about(request="abc"):
        with about(build=17, attempt=2):
            log.warning("Something about %s.", "lxml")
        log.warning("After it.")
    log.warning("Outside.")

    first, second, third = log.lines
    assert (first["message"], first["level"]) == ("Something about lxml.", "WARNING")
    assert (first["request"], first["build"], first["attempt"]) == ("abc", 17, 2)
    assert (second["request"], "build" in second) == ("abc", False)
    assert set(third) == {"time", "level", "logger", "message"}


def test_what_goes_wrong_ends_what_a_line_is_about(log):
    with pytest.raises(ZeroDivisionError), about(build=17):
        _ = 1 / 0
    log.warning("Outside.")

    assert "build" not in log.lines[0]


def test_an_error_is_one_line_with_its_traceback(log):
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("It failed.")

    assert "ValueError: two\nlines" in log.lines[0]["error"]


def test_what_json_does_not_know_is_written_as_text(log):
    with about(build=log):
        log.warning("x")

    assert "test.log-lines" in log.lines[0]["build"]


def test_threads_do_not_mix(log):
    def work(number):
        with about(build=number):
            for _ in range(50):
                log.warning("%s", number)

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)

    assert all(line["message"] == str(line["build"]) for line in log.lines)
