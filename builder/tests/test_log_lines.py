import io
import json
import logging
import sys
from threading import Event, Thread

import pytest

from builder.log_lines import about
from builder.settings import BadSettings, read
from builder.tests.json_lines import json_lines
from builder.tests.test_settings import WHOLE
from builder.worker import log_as_json


@pytest.fixture
def log():
    """What this process logs once it writes JSON."""
    root = logging.getLogger()
    before, level, out = root.handlers[:], root.level, io.StringIO()
    log_as_json(read({**WHOLE, "LOG_FORMAT": "json"}), out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.handlers[:], root.level = before, level


def test_each_line_names_the_builder_and_what_it_is_about(log):
    with about(build=17, attempt=2):
        logging.getLogger("builder.build").info("It builds.")
    logging.getLogger("builder.worker").warning("All is well.")

    first, second = log()
    assert (first["builder"], first["build"], first["attempt"]) == ("pi-07", 17, 2)
    assert (second["builder"], second["message"], "build" in second) == ("pi-07", "All is well.", False)


def test_the_heartbeats_of_a_build_are_about_it(log, tmp_path):
    from builder.client import Unreachable
    from builder.heartbeat import Heartbeats
    from builder.log import Log
    from builder.tests.server import make_order

    failed = Event()

    class Silent:
        def heartbeat(self, *args, **kwargs):
            failed.set()
            raise Unreachable("no network")

    order = make_order(heartbeat_s=0.01)
    with about(build=17), Log(tmp_path) as build_log, Heartbeats(order, build_log, Silent()):
        assert failed.wait(5)

    assert all(line["build"] == 17 for line in log())
    assert log()


def test_there_is_no_third_way_to_write_a_log():
    assert read(WHOLE).log_format == "line"
    with pytest.raises(BadSettings, match='LOG_FORMAT must be "line" or "json"'):
        read({**WHOLE, "LOG_FORMAT": "xml"})


@pytest.fixture
def logger():
    """A logger whose lines are kept."""
    logger = logging.getLogger("test.log-lines")
    with json_lines(logger) as logger.lines:
        yield logger


def test_a_line_has_what_it_is_about_and_no_more_when_that_is_over(logger):
    with about(request="abc"):
        with about(build=17, attempt=2):
            logger.warning("Something about %s.", "lxml")
        logger.warning("After it.")
    logger.warning("Outside.")

    first, second, third = logger.lines
    assert (first["message"], first["level"]) == ("Something about lxml.", "WARNING")
    assert (first["request"], first["build"], first["attempt"]) == ("abc", 17, 2)
    assert (second["request"], "build" in second) == ("abc", False)
    assert set(third) == {"time", "level", "logger", "message"}


def test_what_goes_wrong_ends_what_a_line_is_about(logger):
    with pytest.raises(ZeroDivisionError), about(build=17):
        _ = 1 / 0
    logger.warning("Outside.")

    assert "build" not in logger.lines[0]


def test_an_error_is_one_line_with_its_traceback(logger):
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("It failed.")

    assert "ValueError: two\nlines" in logger.lines[0]["error"]


def test_what_json_does_not_know_is_written_as_text(logger):
    with about(build=logger):
        logger.warning("x")

    assert "test.log-lines" in logger.lines[0]["build"]


def test_threads_do_not_mix(logger):
    def work(number):
        with about(build=number):
            for _ in range(50):
                logger.warning("%s", number)

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

    assert len(logger.lines) == 4 * 50
    assert all(line["message"] == str(line["build"]) for line in logger.lines)
